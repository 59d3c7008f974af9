#include "wire/grpc_reflection.h"

#include <stdlib.h>

#include "reflection.pb-c.h"
#include "wire/descriptor_index.h"
#include "wire/encoding.h"
#include "wire/grpc_status.h"

typedef GrpcReflectionV1__ServerReflectionRequest request_message;
typedef GrpcReflectionV1__ServerReflectionResponse response_message;

struct osr_grpc_reflection {
    struct osr_descriptor_index *index;
    struct osr_arena *arena; /* of the request at hand */
    GrpcReflectionV1__ListServiceResponse services;
    GrpcReflectionV1__ServiceResponse *service_items;
};

/* A response and all that it may point to. */
struct answer {
    response_message response;
    GrpcReflectionV1__FileDescriptorResponse files;
    ProtobufCBinaryData file_items[OSR_DESCRIBED_FILES_MAX];
    GrpcReflectionV1__ExtensionNumberResponse extensions;
    GrpcReflectionV1__ErrorResponse error;
};

/* ---- the parts of a response ---- */

static void refuse(struct answer *answer, enum osr_grpc_code code, const char *why)
{
    grpc_reflection_v1__error_response__init(&answer->error);
    answer->error.error_code = (int32_t)code;
    answer->error.error_message = (char *)why;
    answer->response.message_response_case =
        GRPC_REFLECTION_V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_ERROR_RESPONSE;
    answer->response.error_response = &answer->error;
}

static void give_file(struct answer *answer, const struct osr_described_file *file)
{
    if (file == NULL) {
        refuse(answer, OSR_GRPC_NOT_FOUND, "no file has this name or defines this symbol");
        return;
    }
    const struct osr_described_file *files[OSR_DESCRIBED_FILES_MAX];
    size_t count = osr_described_file_closure(file, files);
    for (size_t i = 0; i < count; i++) {
        answer->file_items[i] =
            (ProtobufCBinaryData){files[i]->bytes.size, (uint8_t *)files[i]->bytes.data};
    }
    grpc_reflection_v1__file_descriptor_response__init(&answer->files);
    answer->files.file_descriptor_proto = answer->file_items;
    answer->files.n_file_descriptor_proto = count;
    answer->response.message_response_case =
        GRPC_REFLECTION_V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_FILE_DESCRIPTOR_RESPONSE;
    answer->response.file_descriptor_response = &answer->files;
}

/* The contract is proto3: its messages have no extensions. */
static void give_extensions(const struct osr_grpc_reflection *reflection, struct answer *answer,
                            const char *message)
{
    if (!osr_descriptor_index_has_message(reflection->index, message)) {
        refuse(answer, OSR_GRPC_NOT_FOUND, "no message has this name");
        return;
    }
    grpc_reflection_v1__extension_number_response__init(&answer->extensions);
    answer->extensions.base_type_name = (char *)message;
    answer->response.message_response_case =
        GRPC_REFLECTION_V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_ALL_EXTENSION_NUMBERS_RESPONSE;
    answer->response.all_extension_numbers_response = &answer->extensions;
}

static void give_services(struct osr_grpc_reflection *reflection, struct answer *answer)
{
    answer->response.message_response_case =
        GRPC_REFLECTION_V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_LIST_SERVICES_RESPONSE;
    answer->response.list_services_response = &reflection->services;
}

/* ---- requests ---- */

static void fill_answer(struct osr_grpc_reflection *reflection, struct answer *answer,
                        request_message *request)
{
    grpc_reflection_v1__server_reflection_response__init(&answer->response);
    answer->response.valid_host = request->host;
    answer->response.original_request = request;
    switch (request->message_request_case) {
    case GRPC_REFLECTION_V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_BY_FILENAME:
        give_file(answer, osr_descriptor_index_file(reflection->index, request->file_by_filename));
        return;
    case GRPC_REFLECTION_V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_CONTAINING_SYMBOL:
        give_file(answer,
                  osr_descriptor_index_symbol(reflection->index, request->file_containing_symbol));
        return;
    case GRPC_REFLECTION_V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_CONTAINING_EXTENSION:
        refuse(answer, OSR_GRPC_NOT_FOUND, "there are no extensions");
        return;
    case GRPC_REFLECTION_V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_ALL_EXTENSION_NUMBERS_OF_TYPE:
        give_extensions(reflection, answer, request->all_extension_numbers_of_type);
        return;
    case GRPC_REFLECTION_V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_LIST_SERVICES:
        give_services(reflection, answer);
        return;
    default:
        refuse(answer, OSR_GRPC_UNIMPLEMENTED, "nothing that is known here is asked for");
    }
}

int osr_grpc_reflection_answer(struct osr_grpc_reflection *reflection, struct osr_slice request,
                               struct osr_buffer *response, struct osr_err *err)
{
    ProtobufCMessage *message;
    osr_arena_reset(reflection->arena);
    int code = osr_protobuf_decode(&grpc_reflection_v1__server_reflection_request__descriptor,
                                   request, reflection->arena, &message, err);
    if (code != 0) {
        return code;
    }
    struct answer answer;
    fill_answer(reflection, &answer, (request_message *)message);
    osr_protobuf_encode(&answer.response.base, response);
    return 0;
}

/* ---- life ---- */

static void list_services(struct osr_grpc_reflection *reflection)
{
    GrpcReflectionV1__ListServiceResponse *list = &reflection->services;
    grpc_reflection_v1__list_service_response__init(list);
    list->n_service = osr_descriptor_index_service_count(reflection->index);
    list->service = osr_alloc((list->n_service + 1) * sizeof(list->service[0]));
    reflection->service_items =
        osr_alloc((list->n_service + 1) * sizeof(reflection->service_items[0]));
    for (size_t i = 0; i < list->n_service; i++) {
        GrpcReflectionV1__ServiceResponse *item = &reflection->service_items[i];
        grpc_reflection_v1__service_response__init(item);
        item->name = (char *)osr_descriptor_index_service(reflection->index, i);
        list->service[i] = item;
    }
}

struct osr_grpc_reflection *osr_grpc_reflection_create(struct osr_slice descriptor_set)
{
    struct osr_grpc_reflection *reflection = osr_alloc(sizeof(*reflection));
    reflection->index = osr_descriptor_index_create(descriptor_set);
    reflection->arena = osr_arena_create(0, OSR_GRPC_REFLECTION_REQUEST_BYTES_MAX);
    list_services(reflection);
    return reflection;
}

void osr_grpc_reflection_destroy(struct osr_grpc_reflection *reflection)
{
    if (reflection == NULL) {
        return;
    }
    free(reflection->services.service);
    free(reflection->service_items);
    osr_arena_destroy(reflection->arena);
    osr_descriptor_index_destroy(reflection->index);
    free(reflection);
}

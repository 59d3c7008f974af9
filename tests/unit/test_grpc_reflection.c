/* Server reflection over the contract's own descriptor set. */
#include "wire/descriptor_set.h"
#include "wire/grpc_reflection.h"
#include "wire/grpc_status.h"
#include "wire/method.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "descriptor.pb-c.h"
#include "reflection.pb-c.h"

#define COUNT(array)  (sizeof(array) / sizeof((array)[0]))
#define ASKS(NAME)    GRPC_REFLECTION_V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_##NAME
#define ANSWERS(NAME) GRPC_REFLECTION_V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_##NAME

typedef GrpcReflectionV1__ServerReflectionRequest request_message;
typedef GrpcReflectionV1__ServerReflectionResponse response_message;

struct fixture {
    struct osr_grpc_reflection *reflection;
    response_message *response; /* the last one */
};

static int open_fixture(void **state)
{
    struct fixture *fixture = osr_alloc(sizeof(*fixture));
    fixture->reflection = osr_grpc_reflection_create(osr_descriptor_set());
    *state = fixture;
    return 0;
}

static void drop_response(struct fixture *fixture)
{
    if (fixture->response != NULL) {
        grpc_reflection_v1__server_reflection_response__free_unpacked(fixture->response, NULL);
    }
    fixture->response = NULL;
}

static int close_fixture(void **state)
{
    struct fixture *fixture = *state;
    drop_response(fixture);
    osr_grpc_reflection_destroy(fixture->reflection);
    free(fixture);
    return 0;
}

/* ---- asking ---- */

static const response_message *ask(struct fixture *fixture, request_message *request)
{
    struct osr_buffer bytes = {0};
    struct osr_buffer answer = {0};
    struct osr_err err;
    size_t size = grpc_reflection_v1__server_reflection_request__get_packed_size(request);
    grpc_reflection_v1__server_reflection_request__pack(request, osr_buffer_reserve(&bytes, size));
    bytes.size = size;
    if (osr_grpc_reflection_answer(fixture->reflection, osr_buffer_slice(&bytes), &answer, &err) !=
        0) {
        fail_msg("%s", err.message);
    }
    drop_response(fixture);
    fixture->response =
        grpc_reflection_v1__server_reflection_response__unpack(NULL, answer.size, answer.data);
    assert_non_null(fixture->response);
    osr_buffer_done(&bytes);
    osr_buffer_done(&answer);
    return fixture->response;
}

static const response_message *ask_for_file(struct fixture *fixture, const char *name)
{
    request_message request = GRPC_REFLECTION_V1__SERVER_REFLECTION_REQUEST__INIT;
    request.message_request_case = ASKS(FILE_BY_FILENAME);
    request.file_by_filename = (char *)name;
    return ask(fixture, &request);
}

static const response_message *ask_for_symbol(struct fixture *fixture, const char *name)
{
    request_message request = GRPC_REFLECTION_V1__SERVER_REFLECTION_REQUEST__INIT;
    request.message_request_case = ASKS(FILE_CONTAINING_SYMBOL);
    request.file_containing_symbol = (char *)name;
    return ask(fixture, &request);
}

static const response_message *ask_for_services(struct fixture *fixture)
{
    request_message request = GRPC_REFLECTION_V1__SERVER_REFLECTION_REQUEST__INIT;
    request.message_request_case = ASKS(LIST_SERVICES);
    request.list_services = "*";
    return ask(fixture, &request);
}

/* ---- reading answers ---- */

static size_t file_count(const response_message *response)
{
    assert_int_equal(response->message_response_case, ANSWERS(FILE_DESCRIPTOR_RESPONSE));
    return response->file_descriptor_response->n_file_descriptor_proto;
}

/* The file's description, as far as descriptor.proto of our own has it. */
static OsirisInternal__File *read_file(const response_message *response, size_t number)
{
    assert_true(number < file_count(response));
    ProtobufCBinaryData bytes = response->file_descriptor_response->file_descriptor_proto[number];
    OsirisInternal__File *file = osiris_internal__file__unpack(NULL, bytes.len, bytes.data);
    assert_non_null(file);
    return file;
}

static void assert_first_file(const response_message *response, const char *name)
{
    OsirisInternal__File *file = read_file(response, 0);
    assert_string_equal(file->name, name);
    osiris_internal__file__free_unpacked(file, NULL);
}

static bool has_file(const response_message *response, const char *name)
{
    size_t times = 0;
    for (size_t i = 0; i < file_count(response); i++) {
        OsirisInternal__File *file = read_file(response, i);
        times += strcmp(file->name, name) == 0;
        osiris_internal__file__free_unpacked(file, NULL);
    }
    assert_true(times <= 1);
    return times == 1;
}

static void assert_refused(const response_message *response, enum osr_grpc_code code)
{
    assert_int_equal(response->message_response_case, ANSWERS(ERROR_RESPONSE));
    assert_int_equal(response->error_response->error_code, code);
    assert_string_not_equal(response->error_response->error_message, "");
}

/* ---- tests ---- */

/* Every service of the contract is listed, once and by its full name. */
static void reflection_lists_services(void **state)
{
    static const char *const expected[] = {"osiris.v1.Knowledge",
                                           "osiris.v1.Instance",
                                           "osiris.v1.Trust",
                                           "osiris.v1.Values",
                                           "osiris.v1.Cluster",
                                           "osiris.v1.Replication",
                                           "osiris.v1.Consensus",
                                           "grpc.health.v1.Health",
                                           "grpc.reflection.v1.ServerReflection",
                                           "grpc.reflection.v1alpha.ServerReflection"};
    const response_message *response = ask_for_services(*state);
    assert_int_equal(response->message_response_case, ANSWERS(LIST_SERVICES_RESPONSE));
    const GrpcReflectionV1__ListServiceResponse *list = response->list_services_response;
    assert_int_equal(list->n_service, COUNT(expected));
    for (size_t i = 0; i < COUNT(expected); i++) {
        size_t times = 0;
        for (size_t k = 0; k < list->n_service; k++) {
            times += strcmp(list->service[k]->name, expected[i]) == 0;
        }
        assert_int_equal(times, 1);
    }
}

/* A file comes with all that it imports, also indirectly, each once, itself first. */
static void reflection_gives_a_file_with_its_imports(void **state)
{
    const response_message *response = ask_for_file(*state, "osiris/v1/replication.proto");
    assert_first_file(response, "osiris/v1/replication.proto");
    static const char *const imports[] = {"osiris/v1/frame.proto",     "osiris/v1/error.proto",
                                          "osiris/v1/feed.proto",      "osiris/v1/document.proto",
                                          "osiris/v1/knowledge.proto", "osiris/v1/instance.proto",
                                          "osiris/v1/trust.proto",     "osiris/v1/consensus.proto"};
    for (size_t i = 0; i < COUNT(imports); i++) {
        assert_true(has_file(response, imports[i]));
    }
    assert_int_equal(file_count(response), 1 + COUNT(imports));
    assert_int_equal(file_count(ask_for_file(*state, "osiris/v1/error.proto")), 1);
}

/* Imports from outside the project are part of it: a client needs no files at all. */
static void reflection_gives_well_known_types(void **state)
{
    assert_true(has_file(ask_for_symbol(*state, "google.rpc.Status"), "google/protobuf/any.proto"));
    assert_first_file(ask_for_symbol(*state, "google.protobuf.Any"), "google/protobuf/any.proto");
}

/* Services, methods, messages and enums are found in their files, also nested ones. */
static void reflection_finds_symbols(void **state)
{
    static const struct {
        const char *symbol;
        const char *file;
    } symbols[] = {
        {"osiris.v1.Knowledge", "osiris/v1/knowledge.proto"},
        {"osiris.v1.Knowledge.Export", "osiris/v1/knowledge.proto"},
        {"osiris.v1.GetRequest", "osiris/v1/knowledge.proto"},
        {"osiris.v1.Replication.Link", "osiris/v1/replication.proto"},
        {"osiris.v1.Consensus.Link", "osiris/v1/ledger.proto"},
        {"osiris.v1.Code", "osiris/v1/error.proto"},
        {"google.rpc.ErrorInfo.MetadataEntry", "google/rpc/error_details.proto"},
        {"grpc.health.v1.HealthCheckResponse.ServingStatus", "grpc/health/v1/health.proto"},
        {"grpc.reflection.v1.ErrorResponse", "grpc/reflection/v1/reflection.proto"},
        {"grpc.reflection.v1alpha.ErrorResponse", "grpc/reflection/v1alpha/reflection.proto"},
    };
    for (size_t i = 0; i < COUNT(symbols); i++) {
        assert_first_file(ask_for_symbol(*state, symbols[i].symbol), symbols[i].file);
    }
}

/* What is not there is an answer with an error, and the next request is answered as ever. */
static void reflection_refuses_what_is_not_there(void **state)
{
    static const char *const names[] = {"",
                                        ".",
                                        "osiris",
                                        "osiris.v1",
                                        "osiris.v1.Knowledge.",
                                        "osiris.v1.Knowledge.Steal",
                                        ".osiris.v1.Knowledge",
                                        "Knowledge",
                                        "osiris.internal.File"};
    for (size_t i = 0; i < COUNT(names); i++) {
        assert_refused(ask_for_symbol(*state, names[i]), OSR_GRPC_NOT_FOUND);
        assert_refused(ask_for_file(*state, names[i]), OSR_GRPC_NOT_FOUND);
    }
    assert_refused(ask_for_file(*state, "../v1/error.proto"), OSR_GRPC_NOT_FOUND);
    assert_int_equal(file_count(ask_for_file(*state, "osiris/v1/error.proto")), 1);
}

/* No message has extensions; that a message has none is said of messages alone. */
static void reflection_knows_no_extensions(void **state)
{
    GrpcReflectionV1__ExtensionRequest extension = GRPC_REFLECTION_V1__EXTENSION_REQUEST__INIT;
    extension.containing_type = "osiris.v1.Frame";
    extension.extension_number = 1000;
    request_message request = GRPC_REFLECTION_V1__SERVER_REFLECTION_REQUEST__INIT;
    request.message_request_case = ASKS(FILE_CONTAINING_EXTENSION);
    request.file_containing_extension = &extension;
    assert_refused(ask(*state, &request), OSR_GRPC_NOT_FOUND);

    request.message_request_case = ASKS(ALL_EXTENSION_NUMBERS_OF_TYPE);
    request.all_extension_numbers_of_type = "osiris.v1.Frame";
    const response_message *response = ask(*state, &request);
    assert_int_equal(response->message_response_case, ANSWERS(ALL_EXTENSION_NUMBERS_RESPONSE));
    assert_string_equal(response->all_extension_numbers_response->base_type_name,
                        "osiris.v1.Frame");
    assert_int_equal(response->all_extension_numbers_response->n_extension_number, 0);
    request.all_extension_numbers_of_type = "osiris.v1.Code";
    assert_refused(ask(*state, &request), OSR_GRPC_NOT_FOUND);
}

/* An answer repeats the host and the request, so that clients can match them. */
static void reflection_repeats_the_request(void **state)
{
    request_message request = GRPC_REFLECTION_V1__SERVER_REFLECTION_REQUEST__INIT;
    request.host = "example.org:7400";
    request.message_request_case = ASKS(FILE_CONTAINING_SYMBOL);
    request.file_containing_symbol = "osiris.v1.Nothing";
    const response_message *response = ask(*state, &request);
    assert_string_equal(response->valid_host, "example.org:7400");
    assert_non_null(response->original_request);
    assert_string_equal(response->original_request->host, "example.org:7400");
    assert_int_equal(response->original_request->message_request_case,
                     ASKS(FILE_CONTAINING_SYMBOL));
    assert_string_equal(response->original_request->file_containing_symbol, "osiris.v1.Nothing");
}

static int answer_bytes(struct fixture *fixture, struct osr_slice request)
{
    struct osr_buffer answer = {0};
    struct osr_err err;
    int code = osr_grpc_reflection_answer(fixture->reflection, request, &answer, &err);
    assert_true(code == 0 || answer.size == 0);
    osr_buffer_done(&answer);
    return code;
}

/* Requests that cannot be read, or would unfold into too much, fail and leave nothing behind. */
static void reflection_fails_on_hostile_requests(void **state)
{
    static const uint8_t cut[] = {0x22, 0x10, 'x'};
    static const uint8_t not_utf8[] = {0x22, 0x01, 0xff};
    static const uint8_t two_wishes[] = {0x1a, 0x01, 'x', 0x22, 0x01, 'x'};
    assert_int_equal(answer_bytes(*state, osr_slice(cut, sizeof(cut))), OSR_MALFORMED);
    assert_int_equal(answer_bytes(*state, osr_slice(not_utf8, sizeof(not_utf8))), OSR_MALFORMED);
    assert_int_equal(answer_bytes(*state, osr_slice(two_wishes, sizeof(two_wishes))),
                     OSR_MALFORMED);
    struct osr_buffer unknown = {0};
    while (unknown.size < OSR_GRPC_REFLECTION_REQUEST_BYTES_MAX) {
        osr_buffer_add(&unknown, "\x40\x01", 2); /* field 8, a number */
    }
    assert_int_equal(answer_bytes(*state, osr_buffer_slice(&unknown)), OSR_TOO_LARGE);
    osr_buffer_done(&unknown);
    assert_int_equal(file_count(ask_for_file(*state, "osiris/v1/error.proto")), 1);
}

/* A request of a kind that this version does not know, or of none, is told so. */
static void reflection_answers_unknown_requests(void **state)
{
    request_message request = GRPC_REFLECTION_V1__SERVER_REFLECTION_REQUEST__INIT;
    assert_refused(ask(*state, &request), OSR_GRPC_UNIMPLEMENTED);
}

static void assert_methods_are_served(const OsirisInternal__File *file)
{
    for (size_t i = 0; i < file->n_services; i++) {
        const OsirisInternal__Service *service = file->services[i];
        for (size_t k = 0; k < service->n_methods; k++) {
            char *path =
                osr_format("/%s.%s/%s", file->package, service->name, service->methods[k]->name);
            if (osr_method_by_path(osr_slice_text(path)) == NULL) {
                fail_msg("%s is in the contract and in no table", path);
            }
            free(path);
        }
    }
}

/* Each method that clients are told of as an operation is one. */
static void reflection_tells_of_operations_that_exist(void **state)
{
    static const char *const files[] = {"osiris/v1/knowledge.proto", "osiris/v1/instance.proto"};
    for (size_t i = 0; i < COUNT(files); i++) {
        OsirisInternal__File *file = read_file(ask_for_file(*state, files[i]), 0);
        assert_int_equal(file->n_services, 1);
        assert_methods_are_served(file);
        osiris_internal__file__free_unpacked(file, NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reflection_lists_services),
        cmocka_unit_test(reflection_gives_a_file_with_its_imports),
        cmocka_unit_test(reflection_gives_well_known_types),
        cmocka_unit_test(reflection_finds_symbols),
        cmocka_unit_test(reflection_refuses_what_is_not_there),
        cmocka_unit_test(reflection_knows_no_extensions),
        cmocka_unit_test(reflection_repeats_the_request),
        cmocka_unit_test(reflection_fails_on_hostile_requests),
        cmocka_unit_test(reflection_answers_unknown_requests),
        cmocka_unit_test(reflection_tells_of_operations_that_exist),
    };
    return cmocka_run_group_tests(tests, open_fixture, close_fixture);
}

#include "requests.h"

#include <stdlib.h>

#include "testing.pb-c.h"

static void pack(struct osr_buffer *buffer, const ProtobufCMessage *message)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    protobuf_c_message_pack(message, osr_buffer_reserve(buffer, size));
    buffer->size += size;
}

/* Points to one of two messages that live for ever, or to none. */
static Grpc__Testing__BoolValue *as_message(enum choice choice)
{
    static Grpc__Testing__BoolValue no = GRPC__TESTING__BOOL_VALUE__INIT;
    static Grpc__Testing__BoolValue yes = GRPC__TESTING__BOOL_VALUE__INIT;
    yes.value = 1;
    if (choice == NOT_SAID) {
        return NULL;
    }
    return choice == YES ? &yes : &no;
}

static Grpc__Testing__Payload make_payload(size_t size)
{
    Grpc__Testing__Payload payload = GRPC__TESTING__PAYLOAD__INIT;
    payload.body = (ProtobufCBinaryData){.len = size, .data = osr_alloc(size + 1)};
    return payload;
}

static Grpc__Testing__EchoStatus make_status(int code, const char *message)
{
    static char nothing[] = "";
    Grpc__Testing__EchoStatus status = GRPC__TESTING__ECHO_STATUS__INIT;
    status.code = code;
    status.message = message != NULL ? (char *)message : nothing;
    return status;
}

void pack_simple_request(struct osr_buffer *buffer, const struct simple_request *request)
{
    Grpc__Testing__Payload payload = make_payload(request->payload_size);
    Grpc__Testing__EchoStatus status = make_status(request->status_code, request->status_message);
    Grpc__Testing__SimpleRequest message = GRPC__TESTING__SIMPLE_REQUEST__INIT;
    message.payload = &payload;
    message.response_size = request->response_size;
    message.response_compressed = as_message(request->response_compressed);
    message.expect_compressed = as_message(request->expect_compressed);
    message.response_status = request->status_code != 0 ? &status : NULL;
    pack(buffer, &message.base);
    free(payload.body.data);
}

void pack_output_request(struct osr_buffer *buffer, const struct output_request *request)
{
    Grpc__Testing__Payload payload = make_payload(request->payload_size);
    Grpc__Testing__EchoStatus status = make_status(request->status_code, request->status_message);
    Grpc__Testing__ResponseParameters *wanted =
        osr_alloc((request->wanted_count + 1) * sizeof(*wanted));
    Grpc__Testing__ResponseParameters **pointers =
        osr_alloc((request->wanted_count + 1) * sizeof(void *));
    for (size_t i = 0; i < request->wanted_count; i++) {
        grpc__testing__response_parameters__init(&wanted[i]);
        wanted[i].size = request->wanted[i].size;
        wanted[i].interval_us = request->wanted[i].interval_us;
        wanted[i].compressed = as_message(request->wanted[i].compressed);
        pointers[i] = &wanted[i];
    }
    Grpc__Testing__StreamingOutputCallRequest message =
        GRPC__TESTING__STREAMING_OUTPUT_CALL_REQUEST__INIT;
    message.payload = &payload;
    message.n_response_parameters = request->wanted_count;
    message.response_parameters = pointers;
    message.response_status = request->status_code != 0 ? &status : NULL;
    pack(buffer, &message.base);
    free(pointers);
    free(wanted);
    free(payload.body.data);
}

void pack_input_request(struct osr_buffer *buffer, size_t payload_size,
                        enum choice expect_compressed)
{
    Grpc__Testing__Payload payload = make_payload(payload_size);
    Grpc__Testing__StreamingInputCallRequest message =
        GRPC__TESTING__STREAMING_INPUT_CALL_REQUEST__INIT;
    message.payload = &payload;
    message.expect_compressed = as_message(expect_compressed);
    pack(buffer, &message.base);
    free(payload.body.data);
}

int64_t payload_size_of(struct osr_slice bytes)
{
    Grpc__Testing__SimpleResponse *response =
        grpc__testing__simple_response__unpack(NULL, bytes.size, bytes.data);
    if (response == NULL) {
        return -1;
    }
    int64_t size = response->payload != NULL ? (int64_t)response->payload->body.len : 0;
    grpc__testing__simple_response__free_unpacked(response, NULL);
    return size;
}

int64_t aggregated_size_of(struct osr_slice bytes)
{
    Grpc__Testing__StreamingInputCallResponse *response =
        grpc__testing__streaming_input_call_response__unpack(NULL, bytes.size, bytes.data);
    if (response == NULL) {
        return -1;
    }
    int64_t size = response->aggregated_payload_size;
    grpc__testing__streaming_input_call_response__free_unpacked(response, NULL);
    return size;
}

/* Requests for server reflection and for health. */
#include "fuzz.h"
#include "wire/descriptor_set.h"
#include "wire/grpc_health.h"
#include "wire/grpc_reflection.h"

#include "reflection.pb-c.h"

typedef GrpcReflectionV1__ServerReflectionRequest reflection_request;
typedef GrpcReflectionV1__ServerReflectionResponse reflection_response;

/* An answer is whole, and holds the request as it was understood. */
static void check_reflection(struct osr_grpc_reflection *reflection, struct osr_slice request)
{
    struct osr_buffer answer = {0};
    if (osr_grpc_reflection_answer(reflection, request, &answer, NULL) != 0) {
        MUST(answer.size == 0);
        return;
    }
    reflection_response *response =
        grpc_reflection_v1__server_reflection_response__unpack(NULL, answer.size, answer.data);
    MUST(response != NULL && response->original_request != NULL);
    MUST(response->message_response_case !=
         GRPC_REFLECTION_V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE__NOT_SET);
    reflection_request *understood =
        grpc_reflection_v1__server_reflection_request__unpack(NULL, request.size, request.data);
    MUST(understood != NULL);
    MUST(understood->message_request_case == response->original_request->message_request_case);
    MUST(strcmp(understood->host, response->valid_host) == 0);
    grpc_reflection_v1__server_reflection_request__free_unpacked(understood, NULL);
    grpc_reflection_v1__server_reflection_response__free_unpacked(response, NULL);
    osr_buffer_done(&answer);
}

static void ignore_news(void *context, struct osr_grpc_health_watch *watch)
{
    (void)context;
    (void)watch;
}

/* A watch is made of just what can be read, and has one thing to tell. */
static void check_health(struct osr_grpc_health *health, struct osr_slice request)
{
    struct osr_buffer checked = {0};
    struct osr_buffer watched = {0};
    struct osr_grpc_health_watch *watch = NULL;
    int check = osr_grpc_health_check(health, request, &checked, NULL);
    int code = osr_grpc_health_watch_create(health, request, ignore_news, NULL, &watch, NULL);
    MUST(check == code || (check == OSR_NOT_FOUND && code == 0));
    if (code == 0) {
        MUST(osr_grpc_health_watch_take(watch, &watched));
        MUST(!osr_grpc_health_watch_take(watch, &watched));
        MUST(check != 0 || osr_slice_equal(osr_buffer_slice(&checked), osr_buffer_slice(&watched)));
    }
    osr_grpc_health_watch_destroy(watch);
    osr_buffer_done(&checked);
    osr_buffer_done(&watched);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const services[] = {"osiris.v1.Knowledge"};
    static struct osr_grpc_reflection *reflection;
    static struct osr_grpc_health *health;
    if (reflection == NULL) {
        reflection = osr_grpc_reflection_create(osr_descriptor_set());
        health = osr_grpc_health_create(services, 1);
    }
    check_reflection(reflection, osr_slice(data, size));
    check_health(health, osr_slice(data, size));
    return 0;
}

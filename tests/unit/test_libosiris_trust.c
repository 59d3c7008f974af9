/* libosiris over TLS and with tokens, as its users have it, against servers of the test's own that
 * frames (lib/frames_instance.h) or gRPC are spoken with. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <osiris/osiris.h>

#include "adapter/clock.h"
#include "base/text.h"
#include "lib/frames_instance.h"
#include "lib/grpc_side.h"
#include "lib/scratch.h"
#include "lib/tls_pair.h"
#include "model/limits.h"

#define CLUSTER  "büro"
#define INSTANCE "aaaabbbbccccddddeeeeffffgggghhhh"
#define TOKEN    "osrt_letmein"

enum {
    PATHS_MAX = 8,
    LONG_BYTES = 700 << 10,
    PATIENCE_MS = 20 * 1000,
    SILENCE_MS = 800, /* enough for a handshake on a busy machine */
};

/* ---- who there is ---- */

struct fixture {
    char folder[SCRATCH_PATH_MAX];
    char *paths[PATHS_MAX]; /* of files that were written */
    size_t path_count;
    uint64_t now_s;
    struct osr_party authority;
    struct osr_party server;
    struct osr_tls_shared_key shared_key; /* of the server; name NULL: none */
    struct osr_tls_options options;       /* of the server */
    struct frames_instance instance;
    struct osiris_client *client;
    struct osiris_trust trust;
    struct osiris_error error;
};

static int set_up(void **state)
{
    struct fixture *fixture = osr_alloc(sizeof(*fixture));
    scratch_create(fixture->folder);
    fixture->now_s = (uint64_t)time(NULL);
    fixture->authority = osr_party_authority_at(CLUSTER, fixture->now_s);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    scratch_remove(fixture->folder);
    for (size_t i = 0; i < fixture->path_count; i++) {
        free(fixture->paths[i]);
    }
    osr_party_done(&fixture->authority);
    osr_party_done(&fixture->server);
    free(fixture);
    return 0;
}

static struct osr_party party_of(const struct fixture *fixture, const struct osr_party *authority,
                                 const char *who)
{
    const struct osr_authority_order order = {
        .cluster = CLUSTER, .who = who, .subject = who, .now_s = fixture->now_s};
    return osr_party_ordered(authority, &order);
}

/* A file of the caller's own, which lives as long as the fixture. */
static const char *write_file(struct fixture *fixture, struct osr_slice content)
{
    assert_true(fixture->path_count < PATHS_MAX);
    char *path = osr_format("%s/%zu", fixture->folder, fixture->path_count);
    fixture->paths[fixture->path_count++] = path;
    int fd = open(path, O_CREAT | O_EXCL | O_WRONLY, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content.data, content.size), content.size);
    close(fd);
    return path;
}

static const char *write_buffer(struct fixture *fixture, const struct osr_buffer *content)
{
    return write_file(fixture, osr_buffer_slice(content));
}

/* The instance's side, as one of the cluster's own. */
static void be_instance(struct fixture *fixture, const char *who)
{
    fixture->server = party_of(fixture, &fixture->authority, who);
    fixture->options = (struct osr_tls_options){
        .is_server = true,
        .certificate_pem = osr_buffer_slice(&fixture->server.certificate),
        .key_pem = osr_buffer_slice(&fixture->server.key),
        .proofs = 1u << OSR_TLS_PROOF_NONE,
    };
}

static void believe_authority(struct fixture *fixture)
{
    fixture->trust.authorities_file = write_buffer(fixture, &fixture->authority.certificate);
}

/* ---- the instance ---- */

static bool answer(struct frames_instance *instance, const Osr__Frame *request)
{
    static uint8_t long_text[LONG_BYTES];
    Osr__AuthenticateResponse who = OSR__AUTHENTICATE_RESPONSE__INIT;
    Osr__DigestResponse digest = OSR__DIGEST_RESPONSE__INIT;
    Osr__Json data = OSR__JSON__INIT;
    Osr__Document document = OSR__DOCUMENT__INIT;
    Osr__GetResponse got = OSR__GET_RESPONSE__INIT;
    switch (request->body_case) {
    case OSR__FRAME__BODY_AUTHENTICATE:
        if (strcmp(request->authenticate->token, TOKEN) != 0) {
            frames_instance_reply_error(instance, request->request_id, OSR__CODE__UNAUTHENTICATED);
            return true;
        }
        instance->held_id++; /* counts them */
        frames_instance_reply(instance, request->request_id, OSR__FRAME__BODY_AUTHENTICATE_REPLY,
                              &who.base, true);
        return true;
    case OSR__FRAME__BODY_KB_DIGEST:
        digest.documents = 10 + instance->held_id;
        frames_instance_reply(instance, request->request_id, OSR__FRAME__BODY_KB_DIGEST_REPLY,
                              &digest.base, true);
        return true;
    case OSR__FRAME__BODY_KB_GET:
        memset(long_text, 'a', sizeof(long_text));
        long_text[0] = long_text[sizeof(long_text) - 1] = '"';
        data.text = (ProtobufCBinaryData){sizeof(long_text), long_text};
        document.data = &data;
        got.document = &document;
        frames_instance_reply(instance, request->request_id, OSR__FRAME__BODY_KB_GET_REPLY,
                              &got.base, true);
        return true;
    default:
        frames_instance_reply_error(instance, request->request_id, OSR__CODE__NOT_FOUND);
        return true;
    }
}

static void start(struct fixture *fixture, frames_serve *serve)
{
    frames_instance_start_secure(&fixture->instance, &fixture->options, serve);
}

static int open_client(struct fixture *fixture, const char *url)
{
    int code = osiris_open(url, &fixture->client, &fixture->error);
    if (code == OSIRIS_OK) {
        code = osiris_set_trust(fixture->client, &fixture->trust, &fixture->error);
    }
    return code;
}

static void stop(struct fixture *fixture)
{
    assert_int_equal(osiris_close(fixture->client), OSIRIS_OK);
    frames_instance_stop(&fixture->instance);
}

/* Connects to what was started; nothing is tried twice. */
static int connect_client(struct fixture *fixture)
{
    assert_int_equal(open_client(fixture, fixture->instance.url), OSIRIS_OK);
    osiris_set_retries(fixture->client, 1, 0);
    return osiris_connect(fixture->client, &fixture->error);
}

static int call_digest(struct fixture *fixture, char **ret_reply)
{
    return osiris_call(fixture->client, "kb_digest", NULL, ret_reply, &fixture->error);
}

static void assert_answers(struct fixture *fixture, const char *expected)
{
    char *reply;
    assert_int_equal(call_digest(fixture, &reply), OSIRIS_OK);
    assert_non_null(strstr(reply, expected));
    osiris_free(reply);
}

/* The connection is refused with these words. */
static void assert_refused(struct fixture *fixture, int code, const char *words)
{
    start(fixture, answer);
    assert_int_equal(connect_client(fixture), code);
    assert_non_null(strstr(fixture->error.message, words));
    stop(fixture);
}

/* ---- TLS ---- */

/* An instance of the cluster whose CA is believed is talked to, whatever its host is called. */
static void instance_of_the_cluster_is_talked_to(void **state)
{
    struct fixture *fixture = *state;
    be_instance(fixture, "instance:" INSTANCE);
    believe_authority(fixture);
    start(fixture, answer);
    assert_int_equal(connect_client(fixture), OSIRIS_OK);
    assert_answers(fixture, "\"documents\":10");
    stop(fixture);
}

/* A reply that is taken and passed over. */
static int pass_over(void *context, const char *reply, size_t size)
{
    (void)context;
    (void)reply;
    (void)size;
    return 0;
}

/* More than any buffer on the way holds goes in both directions. */
static void long_messages_go_both_ways(void **state)
{
    struct fixture *fixture = *state;
    struct osr_buffer request = {0};
    char *reply;
    be_instance(fixture, "instance:" INSTANCE);
    believe_authority(fixture);
    start(fixture, answer);
    assert_int_equal(connect_client(fixture), OSIRIS_OK);
    assert_int_equal(
        osiris_call(fixture->client, "kb_get", "{\"id\":\"x\"}", &reply, &fixture->error),
        OSIRIS_OK);
    assert_true(strlen(reply) > LONG_BYTES);
    osiris_free(reply);

    osr_buffer_add_text(&request, "{\"query\":\"");
    memset(osr_buffer_reserve(&request, LONG_BYTES), 'a', LONG_BYTES);
    request.size += LONG_BYTES;
    osr_buffer_add(&request, "\"}", sizeof("\"}"));
    assert_int_equal(osiris_stream(fixture->client, "kb_search", (const char *)request.data,
                                   pass_over, NULL, &fixture->error),
                     OSIRIS_NOT_FOUND); /* which is what the instance answers */
    osr_buffer_done(&request);
    assert_int_equal(fixture->instance.connections, 1);
    stop(fixture);
}

/* A URL may ask for one certain instance. */
static void another_instance_than_asked_for_is_refused(void **state)
{
    struct fixture *fixture = *state;
    char url[256];
    be_instance(fixture, "instance:" INSTANCE);
    believe_authority(fixture);
    start(fixture, answer);
    snprintf(url, sizeof(url), "%s?id=" INSTANCE, fixture->instance.url);
    assert_int_equal(open_client(fixture, url), OSIRIS_OK);
    assert_int_equal(osiris_connect(fixture->client, &fixture->error), OSIRIS_OK);
    osiris_close(fixture->client);

    snprintf(url, sizeof(url), "%s?id=bbbbbbbbccccddddeeeeffffgggghhhh", fixture->instance.url);
    assert_int_equal(open_client(fixture, url), OSIRIS_OK);
    assert_int_equal(osiris_connect(fixture->client, &fixture->error), OSIRIS_UNAUTHENTICATED);
    assert_non_null(strstr(fixture->error.message, "and not of bbbbbbbb"));
    assert_int_equal(fixture->instance.requests, 0);
    stop(fixture);
}

/* A user's certificate is of the same CA, and does not make a server of theirs an instance. */
static void user_does_not_pass_for_an_instance(void **state)
{
    struct fixture *fixture = *state;
    be_instance(fixture, "user:eve");
    believe_authority(fixture);
    assert_refused(fixture, OSIRIS_UNAUTHENTICATED, "that of \"user:eve\", and not of an instance");
    assert_int_equal(fixture->instance.requests, 0);
}

static void unknown_authority_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct osr_party other = osr_party_authority_at("other", fixture->now_s);
    be_instance(fixture, "instance:" INSTANCE);
    fixture->trust.authorities_file = write_buffer(fixture, &other.certificate);
    assert_refused(fixture, OSIRIS_UNAUTHENTICATED, "is of a CA that is not believed here");
    osr_party_done(&other);
}

static void expired_certificate_is_refused(void **state)
{
    const uint64_t day_s = 24 * 60 * 60;
    struct fixture *fixture = *state;
    const uint64_t now_s = fixture->now_s;
    osr_party_done(&fixture->authority);
    fixture->authority = osr_party_authority_at(CLUSTER, now_s - 100 * day_s);
    fixture->now_s = now_s - 95 * day_s;
    be_instance(fixture, "instance:" INSTANCE);
    believe_authority(fixture);
    assert_refused(fixture, OSIRIS_UNAUTHENTICATED, "expired at 20");
}

/* What an invitation carries is enough to believe the CA, where the instance shows it. */
static void authority_is_believed_by_its_fingerprint(void **state)
{
    struct fixture *fixture = *state;
    struct osr_certificate_facts facts;
    char fingerprint[2 * sizeof(facts.fingerprint.bytes) + 1];
    be_instance(fixture, "instance:" INSTANCE);
    osr_buffer_add(&fixture->server.certificate, fixture->authority.certificate.data,
                   fixture->authority.certificate.size);
    fixture->options.certificate_pem = osr_buffer_slice(&fixture->server.certificate);
    assert_int_equal(
        osr_certificate_read(osr_buffer_slice(&fixture->authority.certificate), &facts, NULL), 0);
    osr_hex_encode(fingerprint, osr_slice(facts.fingerprint.bytes, sizeof(facts.fingerprint)));
    fixture->trust.authority_fingerprint = fingerprint;
    start(fixture, answer);
    assert_int_equal(connect_client(fixture), OSIRIS_OK);
    assert_answers(fixture, "\"documents\":10");
    stop(fixture);

    fingerprint[0] = fingerprint[0] == '0' ? '1' : '0';
    assert_refused(fixture, OSIRIS_UNAUTHENTICATED,
                   "is not of the CA with the fingerprint that was expected");
}

/* Two that know the same key need no certificates; who has another one is told so. */
static void shared_key_opens_the_door(void **state)
{
    static const uint8_t secret[OSR_TLS_KEY_BYTES_MIN] = "a key that both of them have";
    static const uint8_t another[OSR_TLS_KEY_BYTES_MIN] = "a key of one of them alone";
    struct fixture *fixture = *state;
    struct osr_buffer lines = {0};
    osr_buffer_add_text(&lines, "spring ");
    osr_base64_encode(&lines, osr_slice(another, sizeof(another)));
    osr_buffer_add_text(&lines, "\nwinter ");
    osr_base64_encode(&lines, osr_slice(secret, sizeof(secret)));
    osr_buffer_add_text(&lines, "\n");
    const struct osr_tls_shared_key key = {"winter", osr_slice(secret, sizeof(secret))};
    fixture->options = (struct osr_tls_options){.is_server = true,
                                                .shared_keys = &key,
                                                .shared_key_count = 1,
                                                .proofs = 1u << OSR_TLS_PROOF_KEY};
    fixture->trust.shared_key_file = write_buffer(fixture, &lines);
    fixture->trust.shared_key_name = "winter";
    start(fixture, answer);
    assert_int_equal(connect_client(fixture), OSIRIS_OK);
    assert_answers(fixture, "\"documents\":10");
    stop(fixture);

    fixture->trust.shared_key_name = NULL; /* the first */
    assert_refused(fixture, OSIRIS_UNAUTHENTICATED, "does not take the shared key \"spring\"");
    osr_buffer_done(&lines);
}

/* The instance that wants a certificate gets the caller's; without one the first call says so. */
static void callers_certificate_is_shown(void **state)
{
    struct fixture *fixture = *state;
    struct osr_party ana = party_of(fixture, &fixture->authority, "user:ana");
    be_instance(fixture, "instance:" INSTANCE);
    fixture->options.proofs = 1u << OSR_TLS_PROOF_CERTIFICATE;
    fixture->options.authorities_pem = osr_buffer_slice(&fixture->authority.certificate);
    believe_authority(fixture);
    start(fixture, answer);
    connect_client(fixture);
    assert_int_equal(call_digest(fixture, NULL), OSIRIS_UNAUTHENTICATED);
    assert_non_null(strstr(fixture->error.message, "wants a certificate, and we have none"));

    fixture->trust.certificate_file = write_buffer(fixture, &ana.certificate);
    fixture->trust.key_file = write_buffer(fixture, &ana.key);
    assert_int_equal(osiris_set_trust(fixture->client, &fixture->trust, &fixture->error),
                     OSIRIS_OK);
    assert_answers(fixture, "\"documents\":10");
    stop(fixture);
    osr_party_done(&ana);
}

/* ---- what is no TLS, and what is nothing ---- */

struct plain_server {
    int listener;
    const struct osr_slice *words; /* said to whoever sends something; NULL: nothing ever is */
    char url[64];
    pthread_t thread;
};

static void *run_plain_server(void *context)
{
    struct plain_server *server = context;
    struct tls_socket socket;
    while (tls_socket_accept(&socket, server->listener, NULL)) {
        char piece[4096];
        while (tls_socket_receive(&socket, piece, sizeof(piece)) > 0) {
            if (server->words != NULL) {
                tls_socket_send(&socket, *server->words);
                break;
            }
        }
        tls_socket_close(&socket);
    }
    return NULL;
}

static void start_plain_server(struct plain_server *server, const char *scheme,
                               const struct osr_slice *words)
{
    uint16_t port;
    server->words = words;
    server->listener = tls_socket_listen(&port);
    snprintf(server->url, sizeof(server->url), "%s://127.0.0.1:%u", scheme, port);
    assert_int_equal(pthread_create(&server->thread, NULL, run_plain_server, server), 0);
}

static void stop_plain_server(struct plain_server *server)
{
    shutdown(server->listener, SHUT_RDWR);
    assert_int_equal(pthread_join(server->thread, NULL), 0);
    close(server->listener);
}

/* protocol_version: what those answer who speak TLS 1.2 alone. */
static const uint8_t alert_bytes[] = {21, 3, 3, 0, 2, 2, 70};
static const struct osr_slice alert = {alert_bytes, sizeof(alert_bytes)};

/* One attempt to connect to a server that is not TLS's. */
static void assert_no_tls(struct fixture *fixture, const char *scheme, const struct osr_slice *said,
                          int code, const char *words)
{
    struct plain_server server;
    start_plain_server(&server, scheme, said);
    assert_int_equal(open_client(fixture, server.url), OSIRIS_OK);
    osiris_set_timeout(fixture->client, said == NULL ? SILENCE_MS : PATIENCE_MS);
    osiris_set_retries(fixture->client, 1, 0);
    assert_int_equal(osiris_connect(fixture->client, &fixture->error), code);
    assert_non_null(strstr(fixture->error.message, words));
    osiris_close(fixture->client);
    stop_plain_server(&server);
}

/* Whatever answers is told apart: a port without TLS, TLS 1.2 alone, one that hangs up, and one
 * that is silent, for which nobody waits longer than for a connection. */
static void servers_without_tls_are_told_apart(void **state)
{
    struct fixture *fixture = *state;
    believe_authority(fixture);
    const struct osr_slice http = osr_slice_text("HTTP/1.1 400 Bad Request\r\n\r\n");
    const struct osr_slice nothing = {0};
    assert_no_tls(fixture, "tls", &http, OSIRIS_MALFORMED, "does not speak TLS");
    assert_no_tls(fixture, "grpcs", &alert, OSIRIS_UNSUPPORTED_VERSION, "does not take TLS 1.3");
    assert_no_tls(fixture, "tls", &nothing, OSIRIS_UNAVAILABLE, "middle of the TLS handshake");
    assert_no_tls(fixture, "grpcs", NULL, OSIRIS_TIMEOUT, "the TLS handshake was not answered");
}

static void *interrupt_soon(void *client)
{
    enum { SOON_US = 50 * 1000 };
    usleep(SOON_US);
    osiris_interrupt(client);
    return NULL;
}

/* A handshake that gets no answer can be interrupted like any wait. */
static void handshake_can_be_interrupted(void **state)
{
    struct fixture *fixture = *state;
    struct plain_server server;
    pthread_t thread;
    believe_authority(fixture);
    start_plain_server(&server, "tls", NULL);
    assert_int_equal(open_client(fixture, server.url), OSIRIS_OK);
    assert_int_equal(pthread_create(&thread, NULL, interrupt_soon, fixture->client), 0);
    assert_int_equal(osiris_connect(fixture->client, &fixture->error), OSIRIS_CANCELLED);
    assert_int_equal(pthread_join(thread, NULL), 0);
    osiris_close(fixture->client);
    stop_plain_server(&server);
}

/* TLS's alert in answer to plaintext is understood as such. */
static void plaintext_to_a_tls_port_is_told(void **state)
{
    struct fixture *fixture = *state;
    struct plain_server server;
    start_plain_server(&server, "tcp", &alert);
    assert_int_equal(open_client(fixture, server.url), OSIRIS_OK);
    assert_int_equal(call_digest(fixture, NULL), OSIRIS_MALFORMED);
    assert_non_null(strstr(fixture->error.message, "speaks TLS here"));
    osiris_close(fixture->client);
    stop_plain_server(&server);
}

static void refused_connection_is_told(void **state)
{
    struct fixture *fixture = *state;
    struct plain_server server;
    believe_authority(fixture);
    start_plain_server(&server, "tls", NULL);
    stop_plain_server(&server); /* nobody listens there any more */
    assert_int_equal(open_client(fixture, server.url), OSIRIS_OK);
    assert_int_equal(osiris_connect(fixture->client, &fixture->error), OSIRIS_UNAVAILABLE);
    osiris_close(fixture->client);
}

/* ---- tokens ---- */

/* A connection of frames begins with the token, once; a lost one is made anew with the same. */
static bool answer_once(struct frames_instance *instance, const Osr__Frame *request)
{
    if (request->body_case == OSR__FRAME__BODY_KB_DIGEST && instance->connections == 1) {
        frames_instance_cut(instance);
        return false;
    }
    return answer(instance, request);
}

static void token_is_shown_on_each_connection_of_frames(void **state)
{
    struct fixture *fixture = *state;
    be_instance(fixture, "instance:" INSTANCE);
    believe_authority(fixture);
    fixture->trust.token = " " TOKEN "\n";
    start(fixture, answer_once);
    assert_int_equal(open_client(fixture, fixture->instance.url), OSIRIS_OK);
    assert_int_equal(osiris_connect(fixture->client, &fixture->error), OSIRIS_OK);
    assert_answers(fixture, "\"documents\":12");
    assert_answers(fixture, "\"documents\":12");
    assert_int_equal(fixture->instance.connections, 2);
    stop(fixture);
}

/* A token that is not good ends everything at once: nothing is asked for as somebody else, and
 * nothing tried again. */
static void wrong_token_ends_all_calls_without_another_attempt(void **state)
{
    struct fixture *fixture = *state;
    be_instance(fixture, "instance:" INSTANCE);
    believe_authority(fixture);
    fixture->trust.token_file = write_file(fixture, osr_slice_text("osrt_wrong\n"));
    start(fixture, answer);
    assert_int_equal(open_client(fixture, fixture->instance.url), OSIRIS_OK);
    assert_int_equal(call_digest(fixture, NULL), OSIRIS_UNAUTHENTICATED);
    assert_string_equal(fixture->error.message, "as wanted");
    assert_int_equal(fixture->instance.requests, 1);
    assert_int_equal(osiris_connect(fixture->client, &fixture->error), OSIRIS_UNAUTHENTICATED);
    assert_int_equal(fixture->instance.connections, 2);
    stop(fixture);
}

/* Too many wrong ones came from here: that goes by, and so is waited for. */
static bool be_busy_once(struct frames_instance *instance, const Osr__Frame *request)
{
    if (instance->connections == 1) {
        frames_instance_reply_error(instance, request->request_id, OSR__CODE__BUSY);
        return true;
    }
    return answer(instance, request);
}

static void busy_instance_is_shown_the_token_again(void **state)
{
    struct fixture *fixture = *state;
    be_instance(fixture, "instance:" INSTANCE);
    believe_authority(fixture);
    fixture->trust.token = TOKEN;
    start(fixture, be_busy_once);
    assert_int_equal(open_client(fixture, fixture->instance.url), OSIRIS_OK);
    assert_answers(fixture, "\"documents\":11");
    assert_int_equal(fixture->instance.connections, 2);
    stop(fixture);
}

static bool say_nothing(struct frames_instance *instance, const Osr__Frame *request)
{
    (void)instance;
    (void)request;
    return true;
}

/* Nobody waits longer for a token's answer than for a connection, and nothing was asked for. */
static void silence_about_the_token_ends_the_connection(void **state)
{
    struct fixture *fixture = *state;
    be_instance(fixture, "instance:" INSTANCE);
    believe_authority(fixture);
    fixture->trust.token = TOKEN;
    start(fixture, say_nothing);
    assert_int_equal(open_client(fixture, fixture->instance.url), OSIRIS_OK);
    osiris_set_timeout(fixture->client, SILENCE_MS);
    assert_int_equal(osiris_connect(fixture->client, &fixture->error), OSIRIS_TIMEOUT);
    assert_non_null(strstr(fixture->error.message, "the token was not answered"));
    assert_int_equal(fixture->instance.requests, 1);
    stop(fixture);
}

/* What was begun goes on over its connection as it is; the next one shows what is new. */
static bool hold_the_digest(struct frames_instance *instance, const Osr__Frame *request)
{
    static uint64_t digest_id;
    if (request->body_case == OSR__FRAME__BODY_KB_DIGEST && instance->connections == 1) {
        digest_id = request->request_id;
        return true;
    }
    if (request->body_case == OSR__FRAME__BODY_KB_HISTORY) { /* now */
        Osr__DigestResponse digest = OSR__DIGEST_RESPONSE__INIT;
        digest.documents = 1;
        frames_instance_reply(instance, digest_id, OSR__FRAME__BODY_KB_DIGEST_REPLY, &digest.base,
                              true);
    }
    return answer(instance, request);
}

static void count_end(void *context, const struct osiris_error *error)
{
    assert_null(error);
    ++*(int *)context;
}

static void new_trust_is_for_new_connections(void **state)
{
    struct fixture *fixture = *state;
    int ends = 0;
    be_instance(fixture, "instance:" INSTANCE);
    believe_authority(fixture);
    start(fixture, hold_the_digest);
    assert_int_equal(connect_client(fixture), OSIRIS_OK);
    assert_int_equal(osiris_start(fixture->client, "kb_digest", NULL, pass_over, count_end, &ends,
                                  NULL, &fixture->error),
                     OSIRIS_OK);
    fixture->trust.token = TOKEN;
    assert_int_equal(osiris_set_trust(fixture->client, &fixture->trust, &fixture->error),
                     OSIRIS_OK);
    assert_int_equal(osiris_stream(fixture->client, "kb_history", "{\"id\":\"x\"}", pass_over, NULL,
                                   &fixture->error),
                     OSIRIS_NOT_FOUND);
    assert_int_equal(osiris_run(fixture->client, 0, 0, &fixture->error), OSIRIS_OK);
    assert_int_equal(ends, 1);
    assert_int_equal(fixture->instance.connections, 1);

    assert_int_equal(osiris_set_trust(fixture->client, &fixture->trust, &fixture->error),
                     OSIRIS_OK);
    assert_answers(fixture, "\"documents\":11");
    assert_int_equal(fixture->instance.connections, 2);
    stop(fixture);
}

/* Also on this machine's own plaintext. */
static void token_is_shown_in_plaintext_on_this_machine(void **state)
{
    struct fixture *fixture = *state;
    fixture->trust.token = TOKEN;
    frames_instance_start(&fixture->instance, OSR_CODEC_JSON, answer);
    assert_int_equal(connect_client(fixture), OSIRIS_OK);
    assert_answers(fixture, "\"documents\":11");
    stop(fixture);
}

static void secrets_are_not_sent_in_plaintext_to_other_machines(void **state)
{
    static const char *const urls[] = {"tcp://192.0.2.1", "grpc://192.0.2.1:7400",
                                       "tcp://b.example"};
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        fixture->trust.token = TOKEN;
        assert_int_equal(open_client(fixture, urls[i]), OSIRIS_INVALID_ARGUMENT);
        assert_non_null(strstr(fixture->error.message, "not sent in plaintext"));
        assert_null(strstr(fixture->error.message, TOKEN));
        osiris_close(fixture->client);

        fixture->trust.token = NULL;
        assert_int_equal(open_client(fixture, urls[i]), OSIRIS_OK);
        assert_int_equal(osiris_call(fixture->client, "login",
                                     "{\"user\":\"ana\",\"password\":\"p\"}", NULL,
                                     &fixture->error),
                         OSIRIS_INVALID_ARGUMENT);
        assert_non_null(strstr(fixture->error.message, "not sent in plaintext"));
        osiris_close(fixture->client);
    }
}

/* ---- gRPC ---- */

/* A server that speaks gRPC by TLS with one client after the other. */
struct rpc_instance {
    struct osr_tls_context *security;
    int listener;
    char url[64];
    pthread_t thread;
    struct grpc_side *side; /* of the connection that stands */
    char headers[256];      /* of the last call */
    char protocol[32];
};

static void answer_rpc(struct grpc_heard *heard)
{
    Osr__DigestResponse response = OSR__DIGEST_RESPONSE__INIT;
    uint8_t packed[64];
    response.documents = 5;
    size_t size = osr__digest_response__pack(&response, packed);
    osr_buffer_add(osr_grpc_message_begin(heard->call), packed, size);
    osr_grpc_message_end(heard->call);
    const struct osr_grpc_end end = {.code = OSR_GRPC_OK};
    osr_grpc_finish(heard->call, &end);
}

static void serve_rpc(struct rpc_instance *instance, struct tls_socket *socket)
{
    const struct osr_grpc_options options = {.is_server = true,
                                             .message_bytes_max = OSR_FRAME_BYTES_MAX};
    char piece[4096];
    size_t size;
    instance->side = grpc_side_create(&options);
    instance->side->service.on_half_close = answer_rpc;
    while ((size = tls_socket_receive(socket, piece, sizeof(piece))) > 0) {
        struct osr_buffer output = {0};
        snprintf(instance->protocol, sizeof(instance->protocol), "%s",
                 osr_tls_protocol(socket->tls));
        osr_grpc_receive(instance->side->grpc, osr_slice(piece, size), GRPC_SIDE_NOW_MS, NULL);
        while (osr_grpc_produce(instance->side->grpc, &output, sizeof(piece))) {
        }
        if (instance->side->count > 0) {
            const struct grpc_heard *last = &instance->side->heard[instance->side->count - 1];
            memcpy(instance->headers, last->headers, sizeof(instance->headers));
        }
        tls_socket_send(socket, osr_buffer_slice(&output));
        osr_buffer_done(&output);
    }
    grpc_side_destroy(instance->side);
    tls_socket_close(socket);
}

static void *run_rpc_instance(void *context)
{
    struct rpc_instance *instance = context;
    struct tls_socket socket;
    while (tls_socket_accept(&socket, instance->listener, instance->security)) {
        serve_rpc(instance, &socket);
    }
    return NULL;
}

/* Over gRPC each call carries the token. */
static void token_goes_with_each_call_over_grpc(void **state)
{
    static const char *const protocols[] = {"h2", "osiris/1", NULL};
    struct fixture *fixture = *state;
    struct rpc_instance instance = {0};
    uint16_t port;
    be_instance(fixture, "instance:" INSTANCE);
    fixture->options.protocols = protocols;
    assert_int_equal(osr_tls_context_create(&fixture->options, &instance.security, NULL), 0);
    instance.listener = tls_socket_listen(&port);
    snprintf(instance.url, sizeof(instance.url), "grpcs://127.0.0.1:%u", port);
    assert_int_equal(pthread_create(&instance.thread, NULL, run_rpc_instance, &instance), 0);

    believe_authority(fixture);
    fixture->trust.token = TOKEN;
    assert_int_equal(open_client(fixture, instance.url), OSIRIS_OK);
    assert_answers(fixture, "\"documents\":5");
    assert_answers(fixture, "\"documents\":5");
    osiris_close(fixture->client);
    shutdown(instance.listener, SHUT_RDWR);
    assert_int_equal(pthread_join(instance.thread, NULL), 0);
    assert_string_equal(instance.headers, "authorization=Bearer " TOKEN ";");
    assert_string_equal(instance.protocol, "h2");
    close(instance.listener);
    osr_tls_context_release(instance.security);
}

/* ---- wrong use ---- */

static int set_trust(struct fixture *fixture, const struct osiris_trust *trust)
{
    return osiris_set_trust(fixture->client, trust, &fixture->error);
}

static void assert_set_fails(struct fixture *fixture, const struct osiris_trust *trust, int code,
                             const char *words)
{
    assert_int_equal(set_trust(fixture, trust), code);
    assert_non_null(strstr(fixture->error.message, words));
}

/* What cannot be meant is refused before anybody is talked to, and names what is wrong. */
static void wrong_trust_is_refused(void **state)
{
    struct fixture *fixture = *state;
    const char *text = write_file(fixture, osr_slice_text("hello\n"));
    const char *empty = write_file(fixture, osr_slice_text(""));
    believe_authority(fixture);
    const char *authority = fixture->trust.authorities_file;
    assert_int_equal(osiris_open("grpcs://127.0.0.1:1", &fixture->client, NULL), OSIRIS_OK);
    assert_int_equal(osiris_connect(fixture->client, &fixture->error), OSIRIS_CONFIG);
    assert_non_null(strstr(fixture->error.message, "it is not said whom to believe"));

    assert_set_fails(fixture, &(struct osiris_trust){.token = TOKEN}, OSIRIS_CONFIG,
                     "it is not said whom to believe");
    assert_set_fails(fixture, &(struct osiris_trust){.authorities_file = "/nonexistent"},
                     OSIRIS_NOT_FOUND, "/nonexistent");
    assert_set_fails(fixture, &(struct osiris_trust){.authorities_file = text}, OSIRIS_CONFIG,
                     "no certificate");
    assert_set_fails(fixture, &(struct osiris_trust){.authority_fingerprint = "12:34"},
                     OSIRIS_INVALID_ARGUMENT, "64 hexadecimal digits");
    assert_set_fails(fixture, &(struct osiris_trust){.shared_key_file = text}, OSIRIS_CONFIG,
                     "line 1");
    assert_set_fails(fixture, &(struct osiris_trust){.shared_key_file = empty}, OSIRIS_CONFIG,
                     "there is no key");
    assert_set_fails(fixture,
                     &(struct osiris_trust){.authorities_file = authority, .key_file = text},
                     OSIRIS_INVALID_ARGUMENT, "without its key");
    assert_set_fails(fixture,
                     &(struct osiris_trust){.authorities_file = authority, .token_file = empty},
                     OSIRIS_CONFIG, "is empty");
    assert_set_fails(fixture, &(struct osiris_trust){.authorities_file = authority, .token = "a b"},
                     OSIRIS_INVALID_ARGUMENT, "the token is none");
    assert_int_equal(chmod(text, 0644), 0);
    assert_set_fails(fixture,
                     &(struct osiris_trust){.authorities_file = authority, .token_file = text},
                     OSIRIS_PERMISSION_DENIED, "open to other users");
    assert_non_null(strstr(fixture->error.hint, "chmod 600"));
    assert_int_equal(set_trust(fixture, NULL), OSIRIS_OK);
    osiris_close(fixture->client);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(instance_of_the_cluster_is_talked_to),
        TEST(long_messages_go_both_ways),
        TEST(another_instance_than_asked_for_is_refused),
        TEST(user_does_not_pass_for_an_instance),
        TEST(unknown_authority_is_refused),
        TEST(expired_certificate_is_refused),
        TEST(authority_is_believed_by_its_fingerprint),
        TEST(shared_key_opens_the_door),
        TEST(callers_certificate_is_shown),
        TEST(servers_without_tls_are_told_apart),
        TEST(handshake_can_be_interrupted),
        TEST(plaintext_to_a_tls_port_is_told),
        TEST(refused_connection_is_told),
        TEST(token_is_shown_on_each_connection_of_frames),
        TEST(wrong_token_ends_all_calls_without_another_attempt),
        TEST(busy_instance_is_shown_the_token_again),
        TEST(silence_about_the_token_ends_the_connection),
        TEST(new_trust_is_for_new_connections),
        TEST(token_is_shown_in_plaintext_on_this_machine),
        TEST(secrets_are_not_sent_in_plaintext_to_other_machines),
        TEST(token_goes_with_each_call_over_grpc),
        TEST(wrong_trust_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

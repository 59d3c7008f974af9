#include "adapter/name_lookup.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "adapter/address.h"

/* What the thread works on. It is the thread's while asker is NULL, else both know it, and the
 * asker frees it. */
struct question {
    struct osr_name_lookup *asker; /* NULL: nobody waits any more */
    bool is_answered;
    char *host;
    char port[8];
    int result; /* of getaddrinfo */
    struct addrinfo *addresses;
};

/* The half that belongs to the loop. */
struct osr_name_lookup {
    uv_async_t answered;
    struct question *question;
    osr_name_lookup_done *done;
    void *context;
};

/* Guards `asker` and `is_answered` of all questions, and the number of threads. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned threads;

static void free_question(struct question *question)
{
    if (question->addresses != NULL) {
        freeaddrinfo(question->addresses);
    }
    free(question->host);
    free(question);
}

/* The answer is given under the lock: so the asker's handle is still open. */
static void give_answer(struct question *question)
{
    pthread_mutex_lock(&lock);
    threads--;
    bool is_wanted = question->asker != NULL;
    question->is_answered = true;
    if (is_wanted) {
        uv_async_send(&question->asker->answered);
    }
    pthread_mutex_unlock(&lock);
    if (!is_wanted) {
        free_question(question);
    }
}

static void *thread_main(void *context)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct question *question = context;
    sigset_t all;

    sigfillset(&all); /* signals are the loop's business */
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    pthread_setname_np(pthread_self(), "name");
    question->result = getaddrinfo(question->host, question->port, &hints, &question->addresses);
    if (question->result != 0) {
        question->addresses = NULL; /* it may be anything */
    }
    give_answer(question);
    return NULL;
}

static bool take_place(void)
{
    pthread_mutex_lock(&lock);
    bool has_room = threads < OSR_NAME_LOOKUPS_MAX;
    threads += has_room;
    pthread_mutex_unlock(&lock);
    return has_room;
}

static void give_place(void)
{
    pthread_mutex_lock(&lock);
    threads--;
    pthread_mutex_unlock(&lock);
}

static int start_thread(struct question *question, struct osr_err *err)
{
    pthread_attr_t attributes;
    pthread_t thread;

    if (!take_place()) {
        osr_err_set(err, OSR_UNAVAILABLE, "%d names are being looked up", OSR_NAME_LOOKUPS_MAX);
        osr_err_hint(err, "name servers do not answer: see /etc/resolv.conf");
        return OSR_UNAVAILABLE;
    }
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    int result = pthread_create(&thread, &attributes, thread_main, question);
    pthread_attr_destroy(&attributes);
    if (result != 0) {
        give_place();
        osr_err_errno(err, OSR_UNAVAILABLE, result, "cannot start a thread to look up %s",
                      question->host);
        osr_err_hint(err, "raise the limit on threads (ulimit -u, TasksMax= in systemd)");
        return OSR_UNAVAILABLE;
    }
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void on_answered(uv_async_t *async)
{
    struct osr_name_lookup *lookup = async->data;
    struct question *question = lookup->question;
    struct osr_err err = {.code = OSR_OK};

    pthread_mutex_lock(&lock); /* then the thread has let go of it */
    assert(question->is_answered);
    pthread_mutex_unlock(&lock);
    struct addrinfo *addresses = question->addresses;
    if (question->result != 0) {
        osr_address_name_error(&err, question->host, question->result == EAI_NONAME,
                               gai_strerror(question->result));
    }
    question->addresses = NULL; /* the receiver's */
    free_question(question);
    uv_close((uv_handle_t *)async, on_closed);
    lookup->done(lookup->context, addresses, &err);
}

int osr_name_lookup_start(uv_loop_t *loop, const char *host, uint16_t port,
                          osr_name_lookup_done *done, void *context,
                          struct osr_name_lookup **ret_lookup, struct osr_err *err)
{
    struct osr_name_lookup *lookup = osr_alloc(sizeof(*lookup));
    struct question *question = osr_alloc(sizeof(*question));
    int result = uv_async_init(loop, &lookup->answered, on_answered);
    if (result != 0) {
        free(question);
        free(lookup);
        return (int)osr_err_errno(err, OSR_UNAVAILABLE, -result, "cannot look up %s", host);
    }
    question->asker = lookup;
    question->host = osr_strdup(host);
    snprintf(question->port, sizeof(question->port), "%u", port);
    lookup->answered.data = lookup;
    lookup->question = question;
    lookup->done = done;
    lookup->context = context;
    int code = start_thread(question, err);
    if (code != 0) {
        free_question(question);
        uv_close((uv_handle_t *)&lookup->answered, on_closed);
        return code;
    }
    *ret_lookup = lookup;
    return 0;
}

void osr_name_lookup_cancel(struct osr_name_lookup *lookup)
{
    if (lookup == NULL) {
        return;
    }
    struct question *question = lookup->question;
    pthread_mutex_lock(&lock);
    bool is_answered = question->is_answered;
    question->asker = NULL;
    pthread_mutex_unlock(&lock);
    if (is_answered) {
        free_question(question);
    }
    uv_close((uv_handle_t *)&lookup->answered, on_closed);
}

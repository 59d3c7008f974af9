#include "adapter/name_question.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "adapter/address.h"
#include "base/bytes.h"

/* The thread's alone where it is dropped; else both sides know it, and the asker frees it. */
struct osr_name_question {
    bool is_dropped;
    bool is_answered;
    void (*answered)(void *context);
    void *context;
    char *host;
    char port[8];
    int result; /* of getaddrinfo */
    struct addrinfo *addresses;
};

/* Guards `is_dropped` and `is_answered` of all questions, and the number of threads. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned threads;

static void free_question(struct osr_name_question *question)
{
    if (question->addresses != NULL) {
        freeaddrinfo(question->addresses);
    }
    free(question->host);
    free(question);
}

/* The asker is woken under the lock: so what wakes it is still there. */
static void give_answer(struct osr_name_question *question)
{
    pthread_mutex_lock(&lock);
    threads--;
    bool is_dropped = question->is_dropped;
    question->is_answered = true;
    if (!is_dropped) {
        question->answered(question->context);
    }
    pthread_mutex_unlock(&lock);
    if (is_dropped) {
        free_question(question);
    }
}

static void *thread_main(void *context)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct osr_name_question *question = context;
    sigset_t all;

    sigfillset(&all); /* signals are the asker's business */
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
    bool has_room = threads < OSR_NAME_QUESTIONS_MAX;
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

static int start_thread(struct osr_name_question *question, struct osr_err *err)
{
    pthread_attr_t attributes;
    pthread_t thread;

    if (!take_place()) {
        osr_err_set(err, OSR_UNAVAILABLE, "%d names are being looked up", OSR_NAME_QUESTIONS_MAX);
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

int osr_name_question_ask(const char *host, uint16_t port, void (*answered)(void *context),
                          void *context, struct osr_name_question **ret_question,
                          struct osr_err *err)
{
    struct osr_name_question *question = osr_alloc(sizeof(*question));
    question->answered = answered;
    question->context = context;
    question->host = osr_strdup(host);
    snprintf(question->port, sizeof(question->port), "%u", port);
    int code = start_thread(question, err);
    if (code != 0) {
        free_question(question);
        return code;
    }
    *ret_question = question;
    return 0;
}

int osr_name_question_take(struct osr_name_question *question, struct addrinfo **ret_addresses,
                           struct osr_err *err)
{
    int code = OSR_OK;
    pthread_mutex_lock(&lock); /* then the thread has let go of it */
    assert(question->is_answered);
    pthread_mutex_unlock(&lock);
    if (question->result != 0) {
        code = (int)osr_address_name_error(err, question->host, question->result == EAI_NONAME,
                                           gai_strerror(question->result));
    } else {
        *ret_addresses = question->addresses;
        question->addresses = NULL;
    }
    free_question(question);
    return code;
}

void osr_name_question_drop(struct osr_name_question *question)
{
    if (question == NULL) {
        return;
    }
    pthread_mutex_lock(&lock);
    bool is_answered = question->is_answered;
    question->is_dropped = true;
    pthread_mutex_unlock(&lock);
    if (is_answered) {
        free_question(question);
    }
}

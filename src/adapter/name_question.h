/* name_question.h -- what are the addresses of this name? Asked in a thread of its own.
 *
 * The system's look-up blocks, may take minutes where a name server does not answer, and cannot be
 * interrupted. So each has a thread, which is left behind where nobody waits for it any more: it
 * ends by itself, or with the process.
 *
 * Threads: each question belongs to the one that asked it. */
#ifndef OSR_ADAPTER_NAME_QUESTION_H
#define OSR_ADAPTER_NAME_QUESTION_H

#include <netdb.h>
#include <stdint.h>

#include "base/error.h"

enum {
    /* Under way in the process, those left behind included: stops a name that hangs and is dialled
     * again and again from using up threads. */
    OSR_NAME_QUESTIONS_MAX = 64,
};

struct osr_name_question;

/* `answered` is called once, from the question's thread: it may do no more than wake the asker. */
int osr_name_question_ask(const char *host, uint16_t port, void (*answered)(void *context),
                          void *context, struct osr_name_question **ret_question,
                          struct osr_err *err);
/* Once it is answered: the addresses, which are the receiver's to free (freeaddrinfo). The question
 * is gone after, whether this fails or not. */
int osr_name_question_take(struct osr_name_question *question, struct addrinfo **ret_addresses,
                           struct osr_err *err);
/* Nobody waits any more: `answered` is not called from now on. Not after take. NULL is a no-op. */
void osr_name_question_drop(struct osr_name_question *question);

#endif

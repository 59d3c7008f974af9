/* retry.h -- whether a call that failed may be sent again, and when. Pure: no clock, no socket.
 *
 * The rule: an error that may go away by itself (BUSY, UNAVAILABLE) is worth another attempt if the
 * instance has surely not carried the request out, or if carrying it out twice leaves what once
 * leaves. TIMEOUT is not worth one: it was the caller who set the time. */
#ifndef OSR_CLIENT_RETRY_H
#define OSR_CLIENT_RETRY_H

#include "base/error.h"
#include "base/random.h"
#include "wire/method.h"

/* Reads are. Of writes: a put of a document with a source and without an id, and an import of
 * documents that all have a source or an id, since the instance passes over what it knows. A put
 * to an id is not: it would replace what others have put there in between. */
bool osr_retry_is_idempotent(const struct osr_method *method, struct osr_slice request);

/* is_unsent: the instance has surely not looked at it. */
bool osr_retry_is_allowed(const struct osr_method *method, struct osr_slice request,
                          enum osr_code code, bool is_unsent);

enum {
    OSR_RETRY_FIRST_MS = 100,
    OSR_RETRY_MAX_MS = 5000,
    OSR_RETRY_ASKED_MAX_MS = 30 * 1000, /* stops an instance from putting callers off for ever */
};

/* Before the attempt that follows `attempts` failed ones (1 and more): doubles from FIRST to MAX,
 * and of that a random part between half and all, so that many clients do not come back at once;
 * but at least what the instance asked for (0: nothing), up to ASKED_MAX. */
uint32_t osr_retry_delay_ms(uint32_t attempts, uint32_t asked_ms, struct osr_random *random);

#endif

/* password.h -- passwords as they are stored: Argon2id (RFC 9106), by libargon2.
 *
 * A hash is the usual text form, "$argon2id$v=19$m=...,t=...,p=...$salt$hash", so that its costs
 * can rise later: osr_password_is_weak says that it was made with lower ones than today's.
 * Hashing takes tens of milliseconds and OSR_PASSWORD_MEMORY_KIB, on purpose: one at a time, on a
 * thread of its own, never the loop's. */
#ifndef OSR_ADAPTER_PASSWORD_H
#define OSR_ADAPTER_PASSWORD_H

#include "base/bytes.h"
#include "base/error.h"

enum {
    OSR_PASSWORD_BYTES_MIN = 8,
    OSR_PASSWORD_BYTES_MAX = 1024, /* stops long ones from being hashed */
    OSR_PASSWORD_MEMORY_KIB = 19 << 10,
    OSR_PASSWORD_PASSES = 2,
    OSR_PASSWORD_LANES = 1,
    OSR_PASSWORD_HASH_TEXT_MAX = 128,
    /* Costs of a stored hash that are still worked with: stops an altered one from taking the
     * memory or the thread. */
    OSR_PASSWORD_MEMORY_KIB_MAX = 64 << 10,
    OSR_PASSWORD_PASSES_MAX = 8,
    OSR_PASSWORD_LANES_MAX = 4, /* a thread each */
};

/* Writes OSR_PASSWORD_HASH_TEXT_MAX bytes at most, the NUL included. INVALID_ARGUMENT: too short,
 * too long, or no UTF-8; BUSY, here and below: no memory to hash in. The password is not kept, nor
 * in any message; the memory that it was hashed in is wiped. Wiping `password` is the caller's. */
int osr_password_hash(struct osr_slice password, char *text, struct osr_err *err);
/* 0, UNAUTHENTICATED, or CORRUPT where `text` is no hash of ours, or one that costs too much. */
int osr_password_verify(struct osr_slice password, const char *text, struct osr_err *err);
/* As long as a verification takes, with nothing to compare with: for accounts that are not there,
 * so that the time tells nothing. */
void osr_password_pretend(struct osr_slice password);
bool osr_password_is_weak(const char *text); /* also what cannot be read */

#endif

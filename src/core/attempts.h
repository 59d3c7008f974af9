/* attempts.h -- how often somebody may try a password, by account and by address.
 *
 * Each wrong attempt makes the next one wait, first a second, then twice as long, up to a limit;
 * time forgives. Attempts that come while one has to wait are refused unlooked at and cost nothing
 * more.
 *
 * Nobody is locked out: an address from which the account was lately used well has a count of its
 * own, which others' attempts do not touch and a right password clears. All other addresses share
 * the account's count, so that it does not help a guesser to have many, and each has one over all
 * accounts, so that it does not help to try many. A right password takes back its own attempt from
 * these and no more: else a guesser who has an account would clear his address with it. Who holds
 * dozens of addresses can so keep an owner waiting at a new place, but not at a known one; nor can
 * he make more than OSR_ATTEMPTS_ACCOUNT_DAY_MAX guesses in a day.
 *
 * Memory is fixed, and nothing in it can be pushed out by made-up names: the counts of accounts
 * and of addresses stand in arrays, by a hash under a key that nobody knows. Two names may share
 * a count by chance; they wait for each other then. It is not kept over a restart.
 *
 * An address is what one guesser has one of: an IPv4 address, a /64 network of IPv6; no port.
 *
 * Sans-IO: now_ms is monotonic. */
#ifndef OSR_CORE_ATTEMPTS_H
#define OSR_CORE_ATTEMPTS_H

#include "base/bytes.h"

enum {
    OSR_ATTEMPTS_FREE = 3, /* wrong ones in a row before the first wait: people mistype */
    OSR_ATTEMPTS_FIRST_WAIT_MS = 1000,
    OSR_ATTEMPTS_ACCOUNT_WAIT_MAX_MS = 30 * 1000,      /* the owner sits this out */
    OSR_ATTEMPTS_ADDRESS_WAIT_MAX_MS = 10 * 60 * 1000, /* who tries many accounts */
    OSR_ATTEMPTS_FORGET_MS = 60 * 60 * 1000, /* one wrong attempt is forgiven in so long */
    /* Guesses at one account in any 24 hours from all addresses together that are not known to
     * it; from a known one as many between two right passwords. One each longest wait, and those
     * that time forgives. */
    OSR_ATTEMPTS_ACCOUNT_DAY_MAX = 24 * 60 * 60 * 1000 / OSR_ATTEMPTS_ACCOUNT_WAIT_MAX_MS + 40,

    OSR_ATTEMPTS_KNOWN_MAX = 8,     /* addresses that an account is known at; the least used goes */
    OSR_ATTEMPTS_KNOWN_DAYS = 30,   /* since the last right password from there */
    OSR_ATTEMPTS_KNOWN_SETS = 4096, /* accounts that have such addresses; more share places */
    OSR_ATTEMPTS_COUNTS = 1 << 16,  /* of accounts, and as many of addresses; more share them */
};

struct osr_attempts;

/* `seed` keys the hashes: random in a process, fixed in a test. */
struct osr_attempts *osr_attempts_create(uint64_t seed);
void osr_attempts_destroy(struct osr_attempts *attempts); /* NULL is a no-op */
/* How long an attempt has to wait; 0: it may be made now, and counts as wrong until it is said to
 * be right, so that many at once are worth no more than one after the other. Also for accounts
 * that are not there: they must not be told from others. */
uint64_t osr_attempts_begin(struct osr_attempts *attempts, const char *account, const char *address,
                            uint64_t now_ms);
/* For attempts that osr_attempts_begin let pass, once at most. The first: the password was right.
 * The second: nobody looked at it; as if the attempt had not been made. */
void osr_attempts_succeed(struct osr_attempts *attempts, const char *account, const char *address,
                          uint64_t now_ms);
void osr_attempts_forget(struct osr_attempts *attempts, const char *account, const char *address);

#endif

#include "core/attempts.h"

#include <stdlib.h>

#include "base/map.h"
#include "base/random.h"

/* How wrong attempts count, without a history of them: each moves `forgiven_ms` an hour on, so that
 * what is left until then tells how many are not forgiven yet. */
struct count {
    uint64_t forgiven_ms; /* when the last of them is */
    uint64_t open_ms;     /* when the next attempt may be made */
};

struct limit {
    uint32_t wrong_max; /* more are not counted: the wait grows no longer, nor does forgiving */
    uint64_t wait_max_ms;
};

enum { ACCOUNT_WRONG_MAX = 8, ADDRESS_WRONG_MAX = 13 };

static const struct limit account_limit = {ACCOUNT_WRONG_MAX, OSR_ATTEMPTS_ACCOUNT_WAIT_MAX_MS};
static const struct limit address_limit = {ADDRESS_WRONG_MAX, OSR_ATTEMPTS_ADDRESS_WAIT_MAX_MS};

#define WAIT_AFTER(wrong) (OSR_ATTEMPTS_FIRST_WAIT_MS << ((wrong)-OSR_ATTEMPTS_FREE))
_Static_assert(WAIT_AFTER(ACCOUNT_WRONG_MAX) >= OSR_ATTEMPTS_ACCOUNT_WAIT_MAX_MS &&
                   WAIT_AFTER(ACCOUNT_WRONG_MAX - 1) < OSR_ATTEMPTS_ACCOUNT_WAIT_MAX_MS,
               "as many are counted as make the wait grow");
_Static_assert(WAIT_AFTER(ADDRESS_WRONG_MAX) >= OSR_ATTEMPTS_ADDRESS_WAIT_MAX_MS &&
                   WAIT_AFTER(ADDRESS_WRONG_MAX - 1) < OSR_ATTEMPTS_ADDRESS_WAIT_MAX_MS,
               "as many are counted as make the wait grow");

/* An address at which an account is known. */
struct known {
    uint64_t name; /* hash of both; 0: the place is free */
    uint64_t until_ms;
    uint64_t used_ms;
    struct count count;
};

struct osr_attempts {
    uint64_t hash_key[2];
    struct count accounts[OSR_ATTEMPTS_COUNTS];
    struct count addresses[OSR_ATTEMPTS_COUNTS];
    struct known known[OSR_ATTEMPTS_KNOWN_SETS][OSR_ATTEMPTS_KNOWN_MAX];
};

struct osr_attempts *osr_attempts_create(uint64_t seed)
{
    struct osr_attempts *attempts = osr_alloc(sizeof(*attempts));
    struct osr_random random;
    osr_random_init(&random, seed);
    attempts->hash_key[0] = osr_random_u64(&random);
    attempts->hash_key[1] = osr_random_u64(&random);
    return attempts;
}

void osr_attempts_destroy(struct osr_attempts *attempts)
{
    free(attempts);
}

/* ---- counts ---- */

static uint64_t remaining(const struct count *count, uint64_t now_ms)
{
    return count->open_ms > now_ms ? count->open_ms - now_ms : 0;
}

static uint64_t wait_after(uint64_t wrong, const struct limit *limit)
{
    if (wrong < OSR_ATTEMPTS_FREE) {
        return 0;
    }
    uint64_t wait_ms = (uint64_t)WAIT_AFTER(wrong);
    return wait_ms < limit->wait_max_ms ? wait_ms : limit->wait_max_ms;
}

static void count_attempt(struct count *count, const struct limit *limit, uint64_t now_ms)
{
    uint64_t latest_ms = now_ms + (uint64_t)limit->wrong_max * OSR_ATTEMPTS_FORGET_MS;
    uint64_t since_ms = count->forgiven_ms > now_ms ? count->forgiven_ms : now_ms;
    uint64_t forgiven_ms = since_ms + OSR_ATTEMPTS_FORGET_MS;
    count->forgiven_ms = forgiven_ms < latest_ms ? forgiven_ms : latest_ms;
    uint64_t left_ms = count->forgiven_ms - now_ms;
    uint64_t wrong = (left_ms + OSR_ATTEMPTS_FORGET_MS - 1) / OSR_ATTEMPTS_FORGET_MS;
    count->open_ms = now_ms + wait_after(wrong, limit);
}

/* An attempt was none: another may be made in its place. (Where the count was full the attempt may
 * have added less than is taken here; but then it has cost the longest wait, which buys no more
 * than this one.) */
static void take_back(struct count *count)
{
    count->forgiven_ms -=
        count->forgiven_ms < OSR_ATTEMPTS_FORGET_MS ? count->forgiven_ms : OSR_ATTEMPTS_FORGET_MS;
    count->open_ms = 0;
}

/* ---- who ---- */

/* An attempt's names, looked up. */
struct attempt {
    struct count *account;
    struct count *address;
    struct known *set; /* the account's, OSR_ATTEMPTS_KNOWN_MAX places */
    uint64_t name;     /* of the pair, in the set */
};

static uint64_t hash_text(const struct osr_attempts *attempts, const char *text)
{
    return osr_siphash(attempts->hash_key, osr_slice_text(text));
}

static struct attempt look_up(struct osr_attempts *attempts, const char *account,
                              const char *address)
{
    const uint64_t names[] = {hash_text(attempts, account), hash_text(attempts, address)};
    uint64_t pair = osr_siphash(attempts->hash_key, osr_slice(names, sizeof(names)));
    return (struct attempt){
        .account = &attempts->accounts[names[0] % OSR_ATTEMPTS_COUNTS],
        .address = &attempts->addresses[names[1] % OSR_ATTEMPTS_COUNTS],
        .set = attempts->known[names[0] % OSR_ATTEMPTS_KNOWN_SETS],
        .name = pair != 0 ? pair : 1,
    };
}

static struct known *find_known(const struct attempt *attempt)
{
    for (size_t i = 0; i < OSR_ATTEMPTS_KNOWN_MAX; i++) {
        if (attempt->set[i].name == attempt->name) {
            return &attempt->set[i];
        }
    }
    return NULL;
}

/* Its own place, else a free one, else the one that was used least lately. An attempt under way
 * has used its own place, so that it is still there when the attempt comes to its end. */
static struct known *place_for(const struct attempt *attempt)
{
    struct known *place = find_known(attempt);
    for (size_t i = 0; place == NULL && i < OSR_ATTEMPTS_KNOWN_MAX; i++) {
        place = attempt->set[i].name == 0 ? &attempt->set[i] : NULL;
    }
    if (place != NULL) {
        return place;
    }
    place = attempt->set;
    for (size_t i = 1; i < OSR_ATTEMPTS_KNOWN_MAX; i++) {
        if (attempt->set[i].used_ms < place->used_ms) {
            place = &attempt->set[i];
        }
    }
    return place;
}

/* ---- attempts ---- */

static uint64_t begin_known(struct known *known, uint64_t now_ms)
{
    uint64_t wait_ms = remaining(&known->count, now_ms);
    if (wait_ms == 0) {
        count_attempt(&known->count, &account_limit, now_ms);
        known->used_ms = now_ms;
    }
    return wait_ms;
}

static uint64_t begin_unknown(const struct attempt *attempt, uint64_t now_ms)
{
    uint64_t account_ms = remaining(attempt->account, now_ms);
    uint64_t address_ms = remaining(attempt->address, now_ms);
    if (account_ms == 0 && address_ms == 0) {
        count_attempt(attempt->account, &account_limit, now_ms);
        count_attempt(attempt->address, &address_limit, now_ms);
    }
    return account_ms > address_ms ? account_ms : address_ms;
}

uint64_t osr_attempts_begin(struct osr_attempts *attempts, const char *account, const char *address,
                            uint64_t now_ms)
{
    struct attempt attempt = look_up(attempts, account, address);
    struct known *known = find_known(&attempt);
    if (known != NULL && known->until_ms <= now_ms) {
        *known = (struct known){0};
        known = NULL;
    }
    return known != NULL ? begin_known(known, now_ms) : begin_unknown(&attempt, now_ms);
}

static void take_back_unknown(const struct attempt *attempt)
{
    take_back(attempt->account);
    take_back(attempt->address);
}

void osr_attempts_succeed(struct osr_attempts *attempts, const char *account, const char *address,
                          uint64_t now_ms)
{
    const uint64_t known_ms = OSR_ATTEMPTS_KNOWN_DAYS * 24ull * 60 * 60 * 1000;
    struct attempt attempt = look_up(attempts, account, address);
    if (find_known(&attempt) == NULL) {
        take_back_unknown(&attempt);
    }
    *place_for(&attempt) =
        (struct known){.name = attempt.name, .until_ms = now_ms + known_ms, .used_ms = now_ms};
}

void osr_attempts_forget(struct osr_attempts *attempts, const char *account, const char *address)
{
    struct attempt attempt = look_up(attempts, account, address);
    struct known *known = find_known(&attempt);
    if (known != NULL) {
        take_back(&known->count);
    } else {
        take_back_unknown(&attempt);
    }
}

#include "node/logins.h"

#include <assert.h>
#include <stdlib.h>

#include "base/map.h"

struct osr_logins {
    struct osr_map *by_id;
    struct osr_login *newest;
    struct osr_login *oldest;
};

struct osr_logins *osr_logins_create(uint64_t hash_seed)
{
    struct osr_logins *logins = osr_alloc(sizeof(*logins));
    logins->by_id = osr_map_create(hash_seed);
    return logins;
}

static void drop(struct osr_logins *logins, struct osr_login *login)
{
    *(login->newer != NULL ? &login->newer->older : &logins->newest) = login->older;
    *(login->older != NULL ? &login->older->newer : &logins->oldest) = login->newer;
    osr_map_remove(logins->by_id, osr_slice_text(login->id));
    free(login);
}

void osr_logins_destroy(struct osr_logins *logins)
{
    if (logins == NULL) {
        return;
    }
    while (logins->newest != NULL) {
        drop(logins, logins->newest);
    }
    osr_map_destroy(logins->by_id);
    free(logins);
}

/* The user's oldest; *ret_count: how many there are of the user's. */
static struct osr_login *oldest_of(const struct osr_logins *logins, const char *user,
                                   size_t *ret_count)
{
    struct osr_login *oldest = NULL;
    *ret_count = 0;
    for (struct osr_login *login = logins->newest; login != NULL; login = login->older) {
        if (strcmp(login->user, user) == 0) {
            oldest = login;
            *ret_count += 1;
        }
    }
    return oldest;
}

static void make_room(struct osr_logins *logins, const char *user)
{
    size_t count;
    struct osr_login *oldest = oldest_of(logins, user, &count);
    if (count == OSR_LOGINS_PER_USER_MAX) {
        drop(logins, oldest);
    } else if (osr_map_count(logins->by_id) == OSR_LOGINS_MAX) {
        drop(logins, logins->oldest);
    }
}

void osr_logins_add(struct osr_logins *logins, const struct osr_token *token, const char *user,
                    uint64_t expires_ms)
{
    assert(strlen(user) <= OSR_CREDENTIAL_NAME_BYTES_MAX);
    make_room(logins, user);
    struct osr_login *login = osr_alloc(sizeof(*login));
    osr_token_id_text(login->id, token);
    memcpy(login->user, user, strlen(user));
    login->hash = osr_token_hash(token);
    login->expires_ms = expires_ms;
    login->older = logins->newest;
    *(login->older != NULL ? &login->older->newer : &logins->oldest) = login;
    logins->newest = login;
    void *before = osr_map_put(logins->by_id, osr_slice_text(login->id), login);
    assert(before == NULL); /* 64 random bits */
}

const struct osr_login *osr_logins_find(const struct osr_logins *logins, const char *id)
{
    return osr_map_get(logins->by_id, osr_slice_text(id));
}

bool osr_logins_end(struct osr_logins *logins, const char *id)
{
    struct osr_login *login = osr_map_get(logins->by_id, osr_slice_text(id));
    if (login != NULL) {
        drop(logins, login);
    }
    return login != NULL;
}

void osr_logins_end_user(struct osr_logins *logins, const char *user)
{
    struct osr_login *login = logins->newest;
    while (login != NULL) {
        struct osr_login *older = login->older;
        if (strcmp(login->user, user) == 0) {
            drop(logins, login);
        }
        login = older;
    }
}

size_t osr_logins_count(const struct osr_logins *logins)
{
    return osr_map_count(logins->by_id);
}

/* credentials_fixture.h -- the credentials of an instance whose disk is slow, and what is done with
 * them. Nothing is on the disk before it is answered. */
#ifndef OSR_TESTS_CREDENTIALS_FIXTURE_H
#define OSR_TESTS_CREDENTIALS_FIXTURE_H

#include "model/limits.h"
#include "node/credentials.h"
#include "node/facts.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define CRED_NOW     1700000000000ull
#define CRED_HOUR    (60ull * 60 * 1000)
#define CRED_HASH    "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA"
#define CRED_SERIAL  "0A1B2C"

struct cred_write {
    struct cred_write *next;
    char *key;
    struct osr_buffer value;
    void (*written)(void *context, enum osr_code code);
    void *context;
};

struct cred_fixture {
    struct osr_credentials *credentials;
    struct osr_facts *disk;
    struct cred_write *first; /* not yet on the disk */
    struct cred_write **last;
    size_t done_count;
    enum osr_code done_code; /* of the last one */
    struct osr_err err;
};

/* For cmocka: an instance of the cluster "main", with nothing on its disk. */
int cred_set_up(void **state);
int cred_tear_down(void **state);
void cred_start(struct cred_fixture *instance, const char *cluster);
void cred_restart(struct cred_fixture *instance);
/* The disk answers what has waited longest, or all that waits. */
void cred_answer_one(struct cred_fixture *instance, enum osr_code code);
void cred_answer(struct cred_fixture *instance, enum osr_code code);
/* Counts in the fixture. */
struct osr_credential_done cred_done(struct cred_fixture *instance);

/* ---- what is done with it, at CRED_NOW ---- */

extern const struct osr_token_order cred_ci_order;
void cred_create_token(struct cred_fixture *instance, const struct osr_token_order *order,
                       char *text);
/* One that is on the disk; its id. */
void cred_make_token(struct cred_fixture *instance, char *text, char *id);
int cred_check_at(struct cred_fixture *instance, const char *text, uint64_t now_ms);
/* For a reason; the token is not told. */
void assert_refused_at(struct cred_fixture *instance, const char *text, uint64_t now_ms,
                       const char *why);
void assert_refused(struct cred_fixture *instance, const char *text, const char *why);
void assert_identity(struct cred_fixture *instance, const char *text, const char *who,
                     const char *role);
void cred_revoke_token(struct cred_fixture *instance, const char *id, const char *by,
                       uint64_t now_ms);
struct osr_user_record cred_sample_user(const char *name);
void cred_put_user(struct cred_fixture *instance, const struct osr_user_record *user);
void cred_make_user(struct cred_fixture *instance, const char *name);
int cred_try_login(struct cred_fixture *instance, const char *name, const char *hash, char *text);
void cred_login(struct cred_fixture *instance, const char *name, char *text);
struct osr_token cred_make_invitation(struct cred_fixture *instance, char *id);
int cred_use_at(struct cred_fixture *instance, const struct osr_token *token, const char *who,
                uint64_t now_ms);
size_t cred_count_of(struct cred_fixture *instance, enum osr_credential_kind kind);

#endif

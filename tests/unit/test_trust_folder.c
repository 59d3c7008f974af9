#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/sim_disk.h"
#include "lib/tls_pair.h"
#include "node/trust_folder.h"

static const char instance[] = "instance:abcdefghijklmnopqrstuvwxyz234567";

/* -- who there is, made once: making them takes time -- */

static struct {
    struct osr_party authority; /* an outside one */
    struct osr_party first;     /* of the instance */
    struct osr_party second;
} made;

static int make_parties(void **state)
{
    (void)state;
    made.authority = osr_party_authority("c");
    made.first = osr_party_of(&made.authority, "c", instance);
    made.second = osr_party_of(&made.authority, "c", instance);
    return 0;
}

static int free_parties(void **state)
{
    (void)state;
    osr_party_done(&made.authority);
    osr_party_done(&made.first);
    osr_party_done(&made.second);
    return 0;
}

/* -- a folder on a simulated disk -- */

struct fixture {
    struct osr_sim_disk *disk;
    struct osr_trust_folder *folder;
    struct osr_err err;
};

static struct fixture *open_fixture(uint64_t seed)
{
    struct fixture *fixture = osr_alloc(sizeof(*fixture));

    fixture->disk = osr_sim_disk_create(seed);
    osr_sim_disk_make_folder(fixture->disk, "data");
    fixture->folder = osr_trust_folder_open(osr_sim_disk_port(fixture->disk), "data");
    return fixture;
}

static void close_fixture(struct fixture *fixture)
{
    osr_trust_folder_close(fixture->folder);
    osr_sim_disk_destroy(fixture->disk);
    free(fixture);
}

static int set_up(void **state)
{
    *state = open_fixture(1);
    return 0;
}

static int tear_down(void **state)
{
    close_fixture(*state);
    return 0;
}

static struct osr_trust *load(struct fixture *fixture)
{
    struct osr_trust *trust = NULL;

    if (osr_trust_folder_load(fixture->folder, &trust, &fixture->err) != 0) {
        fail_msg("%s", fixture->err.message);
    }
    return trust;
}

static void put_file(struct fixture *fixture, enum osr_trust_file file, struct osr_slice content)
{
    char *path = osr_format("data/trust/%s", osr_trust_file_names[file]);
    osr_sim_disk_put(fixture->disk, path, content);
    free(path);
}

static void put_buffer(struct fixture *fixture, enum osr_trust_file file,
                       const struct osr_buffer *content)
{
    put_file(fixture, file, osr_buffer_slice(content));
}

static void put_text(struct fixture *fixture, enum osr_trust_file file, const char *content)
{
    put_file(fixture, file, osr_slice_text(content));
}

static void assert_refused(struct fixture *fixture, enum osr_code code, const char *message)
{
    struct osr_trust *trust = NULL;

    assert_int_equal(osr_trust_folder_load(fixture->folder, &trust, &fixture->err), code);
    assert_null(trust);
    if (strstr(fixture->err.message, message) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", message, fixture->err.message);
    }
    assert_string_not_equal(fixture->err.hint, "");
}

static void assert_file(const struct osr_trust *trust, enum osr_trust_file file,
                        const struct osr_buffer *content)
{
    assert_true(osr_slice_equal(osr_trust_text(trust, file), osr_buffer_slice(content)));
}

/* -- what can be done to it -- */

static int store(struct fixture *fixture, const struct osr_party *party)
{
    const struct osr_trust_certificate certificate = {
        .key_pem = osr_buffer_slice(&party->key),
        .certificate_pem = osr_buffer_slice(&party->certificate),
        .authorities_pem = osr_buffer_slice(&made.authority.certificate),
    };
    return osr_trust_folder_store_certificate(fixture->folder, &certificate, &fixture->err);
}

static int store_first(struct fixture *fixture)
{
    return store(fixture, &made.first);
}

static int store_second(struct fixture *fixture)
{
    return store(fixture, &made.second);
}

static int ensure_key(struct fixture *fixture)
{
    return osr_trust_folder_ensure_key(fixture->folder, &fixture->err);
}

static int make_authority(struct fixture *fixture)
{
    return osr_trust_folder_make_authority(fixture->folder, "c", instance, OSR_PARTY_NOW_S,
                                           &fixture->err);
}

static int begin_rotation(struct fixture *fixture)
{
    return osr_trust_folder_begin_rotation(fixture->folder, "c", instance, OSR_PARTY_NOW_S,
                                           &fixture->err);
}

static int switch_authority(struct fixture *fixture)
{
    return osr_trust_folder_switch_authority(fixture->folder, &fixture->err);
}

static int end_rotation(struct fixture *fixture)
{
    return osr_trust_folder_end_rotation(fixture->folder, &fixture->err);
}

static int add_shared_key(struct fixture *fixture)
{
    return osr_trust_folder_add_shared_key(fixture->folder, "k1", osr_slice(NULL, 0),
                                           &fixture->err);
}

static int remove_shared_key(struct fixture *fixture)
{
    return osr_trust_folder_remove_shared_key(fixture->folder, "k1", &fixture->err);
}

/* -- what is kept -- */

/* A new folder holds nothing, and that is no error. */
static void trust_folder_begins_empty(void **state)
{
    struct osr_trust *trust = load(*state);

    for (size_t i = 0; i < OSR_TRUST_FILE_COUNT; i++) {
        assert_false(osr_trust_has(trust, (enum osr_trust_file)i));
    }
    assert_int_equal(trust->shared_keys.count, 0);
    osr_trust_destroy(trust);
}

/* The TLS key is made once, and stays. */
static void trust_folder_makes_the_key_once(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(ensure_key(fixture), 0);
    struct osr_trust *first = load(fixture);
    assert_true(osr_private_key_is_valid(osr_trust_text(first, OSR_TRUST_TLS_KEY)));
    assert_int_equal(ensure_key(fixture), 0);
    struct osr_trust *second = load(fixture);
    assert_file(second, OSR_TRUST_TLS_KEY, &first->files[OSR_TRUST_TLS_KEY]);
    osr_trust_destroy(second);
    osr_trust_destroy(first);
}

static void ignore_name(void *context, const char *name)
{
    (void)context, (void)name;
}

/* The folder itself is there after a power cut, not only what is in it. */
static void trust_folder_is_made_for_good(void **state)
{
    struct fixture *fixture = *state;
    struct osr_disk *port = osr_sim_disk_port(fixture->disk);

    assert_int_equal(ensure_key(fixture), 0);
    osr_sim_disk_power_cut(fixture->disk);
    assert_int_equal(port->ops->list(port, "data/trust", ignore_name, NULL, &fixture->err), 0);
}

/* A certificate comes with its key and with the CA that it hangs on, or for the key that is there.
 */
static void trust_folder_keeps_a_certificate(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(store_first(fixture), 0);
    struct osr_trust *trust = load(fixture);
    assert_file(trust, OSR_TRUST_TLS_KEY, &made.first.key);
    assert_file(trust, OSR_TRUST_TLS_CERTIFICATE, &made.first.certificate);
    assert_file(trust, OSR_TRUST_AUTHORITIES, &made.authority.certificate);
    osr_trust_destroy(trust);

    const struct osr_trust_certificate renewed = {.certificate_pem =
                                                      osr_buffer_slice(&made.first.certificate)};
    assert_int_equal(osr_trust_folder_store_certificate(fixture->folder, &renewed, &fixture->err),
                     0);
    const struct osr_trust_certificate foreign = {.certificate_pem =
                                                      osr_buffer_slice(&made.second.certificate)};
    assert_int_equal(osr_trust_folder_store_certificate(fixture->folder, &foreign, &fixture->err),
                     OSR_CONFIG);
    trust = load(fixture);
    assert_file(trust, OSR_TRUST_TLS_CERTIFICATE, &made.first.certificate);
    osr_trust_destroy(trust);
}

static size_t authority_count(const struct osr_trust *trust)
{
    return osr_certificate_count(osr_trust_text(trust, OSR_TRUST_AUTHORITIES));
}

static bool believes(const struct osr_trust *trust, const struct osr_buffer *certificate)
{
    struct osr_hash fingerprint = osr_trust_fingerprint(osr_buffer_slice(certificate));
    return osr_trust_is_among(osr_trust_text(trust, OSR_TRUST_AUTHORITIES), &fingerprint);
}

/* CAs are believed once each; the own one cannot be taken away from under what it issued. */
static void trust_folder_believes_authorities(void **state)
{
    struct fixture *fixture = *state;
    struct osr_slice outside = osr_buffer_slice(&made.authority.certificate);
    struct osr_slice without_end = osr_slice(outside.data, outside.size - 1);
    struct osr_hash fingerprint = osr_trust_fingerprint(outside);

    /* Without the end of its last line it must not run into the next one. */
    put_file(fixture, OSR_TRUST_AUTHORITIES, without_end);
    assert_int_equal(make_authority(fixture), 0);
    assert_int_equal(osr_trust_folder_add_authorities(fixture->folder, outside, &fixture->err), 0);
    struct osr_trust *trust = load(fixture);
    assert_int_equal(authority_count(trust), 2);
    assert_true(believes(trust, &made.authority.certificate));
    assert_true(believes(trust, &trust->files[OSR_TRUST_CA_CERTIFICATE]));
    struct osr_hash own = osr_trust_fingerprint(osr_trust_text(trust, OSR_TRUST_CA_CERTIFICATE));
    osr_trust_destroy(trust);

    assert_int_equal(osr_trust_folder_remove_authority(fixture->folder, &own, &fixture->err),
                     OSR_IN_USE);
    assert_int_equal(
        osr_trust_folder_remove_authority(fixture->folder, &fingerprint, &fixture->err), 0);
    assert_int_equal(
        osr_trust_folder_remove_authority(fixture->folder, &fingerprint, &fixture->err),
        OSR_NOT_FOUND);
    trust = load(fixture);
    assert_int_equal(authority_count(trust), 1);
    assert_false(believes(trust, &made.authority.certificate));
    osr_trust_destroy(trust);

    assert_int_equal(
        osr_trust_folder_add_authorities(fixture->folder, osr_slice_text("none"), &fixture->err),
        OSR_INVALID_ARGUMENT);
    assert_int_equal(osr_trust_folder_add_authorities(
                         fixture->folder, osr_buffer_slice(&made.first.certificate), &fixture->err),
                     OSR_CONFIG); /* no CA */
}

/* The CA is rotated in three steps, each of which needs the one before; outside CAs stay. */
static void trust_folder_rotates_the_authority(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(begin_rotation(fixture), OSR_NOT_FOUND);
    assert_int_equal(store_first(fixture), 0); /* with an outside CA */
    assert_int_equal(make_authority(fixture), 0);
    assert_int_equal(make_authority(fixture), OSR_ALREADY_EXISTS);
    assert_int_equal(switch_authority(fixture), OSR_NOT_FOUND);
    assert_int_equal(end_rotation(fixture), OSR_NOT_FOUND);
    struct osr_trust *before = load(fixture);

    assert_int_equal(begin_rotation(fixture), 0);
    assert_int_equal(begin_rotation(fixture), OSR_ALREADY_EXISTS);
    assert_int_equal(end_rotation(fixture), OSR_ALREADY_EXISTS);
    struct osr_trust *begun = load(fixture);
    assert_int_equal(authority_count(begun), 3);
    assert_true(believes(begun, &begun->files[OSR_TRUST_CA_NEXT_CERTIFICATE]));
    assert_file(begun, OSR_TRUST_CA_KEY, &before->files[OSR_TRUST_CA_KEY]);

    assert_int_equal(switch_authority(fixture), 0);
    assert_int_equal(switch_authority(fixture), OSR_NOT_FOUND);
    assert_int_equal(begin_rotation(fixture), OSR_ALREADY_EXISTS);
    struct osr_trust *switched = load(fixture);
    assert_int_equal(authority_count(switched), 3);
    assert_file(switched, OSR_TRUST_CA_KEY, &begun->files[OSR_TRUST_CA_NEXT_KEY]);
    assert_file(switched, OSR_TRUST_CA_CERTIFICATE, &begun->files[OSR_TRUST_CA_NEXT_CERTIFICATE]);
    assert_file(switched, OSR_TRUST_CA_OLD_CERTIFICATE, &before->files[OSR_TRUST_CA_CERTIFICATE]);
    assert_false(osr_trust_has(switched, OSR_TRUST_CA_NEXT_KEY));

    assert_int_equal(end_rotation(fixture), 0);
    struct osr_trust *ended = load(fixture);
    assert_int_equal(authority_count(ended), 2);
    assert_false(believes(ended, &before->files[OSR_TRUST_CA_CERTIFICATE]));
    assert_true(believes(ended, &made.authority.certificate));
    assert_false(osr_trust_has(ended, OSR_TRUST_CA_OLD_CERTIFICATE));
    assert_int_equal(begin_rotation(fixture), 0); /* and so on */
    osr_trust_destroy(ended);
    osr_trust_destroy(switched);
    osr_trust_destroy(begun);
    osr_trust_destroy(before);
}

/* Shared keys come in front, go by name, and are the same after a reload. */
static void trust_folder_keeps_shared_keys(void **state)
{
    static const char secret[] = "0123456789abcdef0123456789abcdef";
    struct fixture *fixture = *state;

    assert_int_equal(add_shared_key(fixture), 0);
    assert_int_equal(add_shared_key(fixture), OSR_ALREADY_EXISTS);
    assert_int_equal(osr_trust_folder_add_shared_key(fixture->folder, "k2", osr_slice_text(secret),
                                                     &fixture->err),
                     0);
    assert_int_equal(osr_trust_folder_add_shared_key(fixture->folder, "k3",
                                                     osr_slice_text("too short"), &fixture->err),
                     OSR_INVALID_ARGUMENT);
    assert_int_equal(osr_trust_folder_add_shared_key(fixture->folder, "k 3", osr_slice_text(secret),
                                                     &fixture->err),
                     OSR_INVALID_ARGUMENT);
    struct osr_trust *trust = load(fixture);
    assert_int_equal(trust->shared_keys.count, 2);
    assert_string_equal(trust->shared_keys.keys[0].name, "k2");
    assert_int_equal(trust->shared_keys.keys[0].size, strlen(secret));
    assert_memory_equal(trust->shared_keys.keys[0].secret, secret, strlen(secret));
    assert_string_equal(trust->shared_keys.keys[1].name, "k1");
    assert_memory_not_equal(trust->shared_keys.keys[1].secret, (uint8_t[32]){0}, 32);
    osr_trust_destroy(trust);

    assert_int_equal(remove_shared_key(fixture), 0);
    assert_int_equal(remove_shared_key(fixture), OSR_NOT_FOUND);
    trust = load(fixture);
    assert_int_equal(trust->shared_keys.count, 1);
    assert_string_equal(trust->shared_keys.keys[0].name, "k2");
    osr_trust_destroy(trust);
}

/* There are never more shared keys than a handshake looks through. */
static void trust_folder_limits_shared_keys(void **state)
{
    struct fixture *fixture = *state;
    char name[16];

    for (int i = 0; i < OSR_TLS_KEYS_MAX; i++) {
        snprintf(name, sizeof(name), "k%d", i);
        assert_int_equal(osr_trust_folder_add_shared_key(fixture->folder, name, osr_slice(NULL, 0),
                                                         &fixture->err),
                         0);
    }
    assert_int_equal(
        osr_trust_folder_add_shared_key(fixture->folder, "more", osr_slice(NULL, 0), &fixture->err),
        OSR_TOO_LARGE);
    struct osr_trust *trust = load(fixture);
    assert_int_equal(trust->shared_keys.count, OSR_TLS_KEYS_MAX);
    osr_trust_destroy(trust);
}

/* -- what is refused -- */

/* A key that is not the certificate's is refused, whichever of the two is the wrong one. */
static void trust_folder_refuses_a_key_of_another_certificate(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(store_first(fixture), 0);
    put_buffer(fixture, OSR_TRUST_TLS_KEY, &made.second.key);
    assert_refused(fixture, OSR_CONFIG,
                   "data/trust/tls.crt does not belong to the key tls.key beside it");
    put_buffer(fixture, OSR_TRUST_TLS_CERTIFICATE, &made.second.certificate);
    osr_trust_destroy(load(fixture));
}

/* A certificate without its key, a CA without its certificate, a CA that is not believed. */
static void trust_folder_refuses_halves(void **state)
{
    struct fixture *fixture = *state;

    put_buffer(fixture, OSR_TRUST_TLS_CERTIFICATE, &made.first.certificate);
    assert_refused(fixture, OSR_CONFIG, "data/trust/tls.key is missing");
    assert_int_equal(ensure_key(fixture), OSR_CONFIG); /* a new key would not fit it */
    put_buffer(fixture, OSR_TRUST_TLS_KEY, &made.first.key);
    osr_trust_destroy(load(fixture));

    put_buffer(fixture, OSR_TRUST_CA_KEY, &made.authority.key);
    assert_refused(fixture, OSR_CONFIG, "data/trust/ca.crt is missing");
    put_buffer(fixture, OSR_TRUST_CA_CERTIFICATE, &made.authority.certificate);
    assert_refused(fixture, OSR_CONFIG, "data/trust/ca.crt is not among those of authorities.pem");
    assert_non_null(
        strstr(fixture->err.hint, "cat data/trust/ca.crt >> data/trust/authorities.pem"));
    put_buffer(fixture, OSR_TRUST_AUTHORITIES, &made.authority.certificate);
    osr_trust_destroy(load(fixture));
}

/* What is none of the files that belong there is refused by name. */
static void trust_folder_refuses_foreign_files(void **state)
{
    struct fixture *fixture = *state;
    struct osr_buffer mixed = {0};

    put_text(fixture, OSR_TRUST_TLS_KEY, "not a key\n");
    assert_refused(fixture, OSR_CONFIG, "data/trust/tls.key is no unencrypted private key");
    put_text(fixture, OSR_TRUST_TLS_KEY, "");
    assert_refused(fixture, OSR_CORRUPT, "data/trust/tls.key is empty");
    put_buffer(fixture, OSR_TRUST_TLS_KEY, &made.first.key);

    put_text(fixture, OSR_TRUST_AUTHORITIES, "<html>");
    assert_refused(fixture, OSR_CONFIG, "data/trust/authorities.pem has something else");
    put_buffer(fixture, OSR_TRUST_AUTHORITIES, &made.first.certificate);
    assert_refused(fixture, OSR_CONFIG,
                   "authorities.pem: certificate 1: \"instance:abcdefghijklmnopqrstuvwxyz234567\" "
                   "is not a CA's");

    /* A private key does not belong into a file that others may read. */
    osr_buffer_add(&mixed, made.first.certificate.data, made.first.certificate.size);
    osr_buffer_add(&mixed, made.first.key.data, made.first.key.size);
    put_buffer(fixture, OSR_TRUST_AUTHORITIES, &made.authority.certificate);
    put_buffer(fixture, OSR_TRUST_TLS_CERTIFICATE, &mixed);
    assert_refused(fixture, OSR_CONFIG, "data/trust/tls.crt has something else");
    osr_secret_buffer_done(&mixed);

    /* The second of two is broken in the middle. */
    osr_buffer_add(&mixed, made.first.certificate.data, made.first.certificate.size);
    osr_buffer_add(&mixed, made.authority.certificate.data, made.authority.certificate.size);
    mixed.data[made.first.certificate.size + 60] = '!';
    put_buffer(fixture, OSR_TRUST_TLS_CERTIFICATE, &mixed);
    assert_refused(fixture, OSR_CONFIG, "data/trust/tls.crt: certificate 2");

    /* The first one's last line runs into the second one. */
    mixed.size = made.first.certificate.size - 1;
    osr_buffer_add(&mixed, made.authority.certificate.data, made.authority.certificate.size);
    put_buffer(fixture, OSR_TRUST_TLS_CERTIFICATE, &mixed);
    assert_refused(fixture, OSR_CONFIG, "data/trust/tls.crt has something else");
    osr_buffer_done(&mixed);
}

/* A file far longer than any of these is not read. */
static void trust_folder_refuses_a_long_file(void **state)
{
    struct fixture *fixture = *state;
    struct osr_buffer text = {0};

    memset(osr_buffer_reserve(&text, OSR_TRUST_FILE_BYTES_MAX + 1), '\n',
           OSR_TRUST_FILE_BYTES_MAX + 1);
    text.size = OSR_TRUST_FILE_BYTES_MAX + 1;
    put_buffer(fixture, OSR_TRUST_AUTHORITIES, &text);
    assert_int_equal(osr_trust_folder_ensure_key(fixture->folder, &fixture->err), OSR_TOO_LARGE);
    osr_buffer_done(&text);
}

/* A line that is no shared key is named by its number, and never shown. */
static void trust_folder_refuses_foreign_shared_keys(void **state)
{
#define GOOD "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
    static const struct {
        const char *text;
        const char *message;
    } foreign[] = {
        {"k1 " GOOD "\nk2\n", "data/trust/psk: line 2: the key \"k2\" is not 32 to 64 bytes"},
        {"k1 " GOOD "\n\n", "line 2: the key's name"},
        {"k1 " GOOD "\nk1 " GOOD "\n", "line 2: the key \"k1\" is there twice"},
        {"k1  " GOOD "\n", "line 1: the key \"k1\" is not"},
        {"k1 " GOOD " \n", "line 1: the key \"k1\" is not"},
        {"k1 " GOOD "\r\n", "line 1: the key \"k1\" is not"},
        {"k1 c2VjcmV0\n", "line 1: the key \"k1\" is not"},
        {"k* " GOOD "\n", "line 1: the key's name"},
        {" " GOOD "\n", "line 1: the key's name"},
    };
    struct fixture *fixture = *state;

    for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
        put_text(fixture, OSR_TRUST_SHARED_KEYS, foreign[i].text);
        assert_int_equal(add_shared_key(fixture), OSR_CONFIG);
        assert_non_null(strstr(fixture->err.message, foreign[i].message));
        assert_null(strstr(fixture->err.message, "MDEy"));
        assert_null(strstr(fixture->err.message, "c2Vj"));
    }
    put_text(fixture, OSR_TRUST_SHARED_KEYS, "k1 " GOOD); /* by hand, without the line's end */
    osr_trust_destroy(load(fixture));
#undef GOOD
}

/* -- crashes -- */

static int begin_first_rotation(struct fixture *fixture)
{
    int code = make_authority(fixture);
    return code != 0 ? code : begin_rotation(fixture);
}

/* Changes of several files, and what has to be there before. */
static const struct crash_case {
    int (*before)(struct fixture *fixture);
    int (*change)(struct fixture *fixture);
} crash_cases[] = {
    {store_first, store_second},
    {store_first, make_authority},
    {begin_first_rotation, switch_authority},
};
enum { CRASH_CASES = sizeof(crash_cases) / sizeof(crash_cases[0]) };

static struct fixture *prepare(const struct crash_case *item, uint64_t seed)
{
    struct fixture *fixture = open_fixture(seed);

    assert_int_equal(item->before(fixture), 0);
    return fixture;
}

/* For each file: '.' there is none, '=' it is as before, '*' it is another one. */
struct outcome {
    char files[OSR_TRUST_FILE_COUNT + 1];
};

static struct outcome compare(const struct osr_trust *before, const struct osr_trust *after)
{
    struct outcome outcome = {0};

    for (size_t i = 0; i < OSR_TRUST_FILE_COUNT; i++) {
        enum osr_trust_file file = (enum osr_trust_file)i;
        bool is_same = osr_slice_equal(osr_trust_text(before, file), osr_trust_text(after, file));
        outcome.files[i] = (char)(!osr_trust_has(after, file) ? '.' : is_same ? '=' : '*');
    }
    return outcome;
}

/* What the change does when nothing goes wrong. */
static struct outcome whole_change(const struct crash_case *item)
{
    struct fixture *fixture = prepare(item, 1);

    struct osr_trust *before = load(fixture);
    assert_int_equal(item->change(fixture), 0);
    struct osr_trust *after = load(fixture);
    struct outcome outcome = compare(before, after);
    assert_string_not_equal(compare(before, before).files, outcome.files);
    osr_trust_destroy(after);
    osr_trust_destroy(before);
    close_fixture(fixture);
    return outcome;
}

static bool is_one_of(struct outcome outcome, struct outcome old, struct outcome new)
{
    return strcmp(outcome.files, old.files) == 0 || strcmp(outcome.files, new.files) == 0;
}

static void assert_old_or_new(struct fixture *fixture, const struct osr_trust *before,
                              struct outcome whole)
{
    struct osr_trust *after = load(fixture);
    struct outcome outcome = compare(before, after);

    if (!is_one_of(outcome, compare(before, before), whole)) {
        fail_msg("neither as before nor \"%s\", but \"%s\"", whole.files, outcome.files);
    }
    osr_trust_destroy(after);
}

/* Cuts the power at this step of the change; false: it has fewer. */
static bool crash_once(const struct crash_case *item, uint64_t step, struct outcome whole)
{
    struct fixture *fixture = prepare(item, step);

    struct osr_trust *before = load(fixture);
    osr_sim_disk_crash_at(fixture->disk, step);
    int code = item->change(fixture);
    bool has_crashed = osr_sim_disk_is_down(fixture->disk);
    assert_int_equal(code == 0, !has_crashed);
    osr_sim_disk_power_cut(fixture->disk);
    assert_old_or_new(fixture, before, whole);
    osr_trust_destroy(before);
    close_fixture(fixture);
    return has_crashed;
}

/* The steps of a load: a change begins with one, and does nothing before. */
static uint64_t load_steps(void)
{
    struct fixture *fixture = open_fixture(1);

    osr_trust_destroy(load(fixture));
    uint64_t steps = osr_sim_disk_counts(fixture->disk)->steps;
    osr_trust_destroy(load(fixture));
    steps = osr_sim_disk_counts(fixture->disk)->steps - steps;
    close_fixture(fixture);
    return steps;
}

/* Wherever the power fails, afterwards there is the old state or the new one. (test_file_set.c
 * tries many more ways of failing.) */
static void trust_folder_survives_power_cuts(void **state)
{
    uint64_t first = load_steps() + 1;

    (void)state;
    for (size_t i = 0; i < CRASH_CASES; i++) {
        struct outcome whole = whole_change(&crash_cases[i]);
        uint64_t step = first;
        while (crash_once(&crash_cases[i], step, whole)) {
            step++;
        }
        assert_true(step - first > 8); /* write, sync, list, sync, ...: else nothing was tried */
    }
}

/* A change that finds no room changes nothing, and can be made once there is some. */
static void trust_folder_survives_a_full_disk(void **state)
{
    struct fixture *fixture = *state;
    size_t failures = 0;

    assert_int_equal(store_first(fixture), 0);
    struct osr_trust *before = load(fixture);
    uint64_t used = osr_sim_disk_used(fixture->disk);
    for (uint64_t room = 0; room < 4096; room += 256) {
        osr_sim_disk_set_capacity(fixture->disk, used + room);
        int code = store_second(fixture);
        if (code == 0) {
            break;
        }
        assert_int_equal(code, OSR_DISK_FULL);
        failures++;
        struct osr_trust *after = load(fixture);
        assert_string_equal(compare(before, after).files, compare(before, before).files);
        osr_trust_destroy(after);
    }
    assert_in_range(failures, 1, 15);
    struct osr_trust *after = load(fixture);
    assert_file(after, OSR_TRUST_TLS_CERTIFICATE, &made.second.certificate);
    osr_trust_destroy(after);
    osr_trust_destroy(before);
}

/* -- on a real disk -- */

struct real_fixture {
    char data[64];
    struct osr_trust_folder *folder;
    struct osr_err err;
};

static void path_in(const struct real_fixture *fixture, const char *name, char path[128])
{
    snprintf(path, 128, "%s/trust/%s", fixture->data, name);
}

static int set_up_real(void **state)
{
    struct real_fixture *fixture = osr_alloc(sizeof(*fixture));

    snprintf(fixture->data, sizeof(fixture->data), "/tmp/osiris-trust-XXXXXX");
    assert_non_null(mkdtemp(fixture->data));
    fixture->folder = osr_trust_folder_open(osr_disk_system(), fixture->data);
    assert_int_equal(osr_trust_folder_ensure_key(fixture->folder, &fixture->err), 0);
    assert_int_equal(osr_trust_folder_make_authority(fixture->folder, "c", instance,
                                                     OSR_PARTY_NOW_S, &fixture->err),
                     0);
    assert_int_equal(osr_trust_folder_begin_rotation(fixture->folder, "c", instance,
                                                     OSR_PARTY_NOW_S, &fixture->err),
                     0);
    assert_int_equal(
        osr_trust_folder_add_shared_key(fixture->folder, "k1", osr_slice(NULL, 0), &fixture->err),
        0);
    *state = fixture;
    return 0;
}

static int tear_down_real(void **state)
{
    struct real_fixture *fixture = *state;
    char path[128];

    osr_trust_folder_close(fixture->folder);
    for (size_t i = 0; i < OSR_TRUST_FILE_COUNT; i++) {
        path_in(fixture, osr_trust_file_names[i], path);
        if (unlink(path) != 0) {
            rmdir(path);
        }
    }
    path_in(fixture, "", path);
    assert_int_equal(rmdir(path), 0); /* nothing else was left in there */
    assert_int_equal(rmdir(fixture->data), 0);
    free(fixture);
    return 0;
}

static int load_real(struct real_fixture *fixture)
{
    struct osr_trust *trust = NULL;
    int code = osr_trust_folder_load(fixture->folder, &trust, &fixture->err);

    assert_int_equal(code == 0, trust != NULL);
    osr_trust_destroy(trust);
    return code;
}

/* All that is made is its owner's alone. */
static void trust_files_are_private(void **state)
{
    static const char *const names[] = {"tls.key",     "ca.key",          "ca.crt", "ca.next.key",
                                        "ca.next.crt", "authorities.pem", "psk"};
    const struct real_fixture *fixture = *state;
    struct stat status;
    char path[128];

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        path_in(fixture, names[i], path);
        assert_int_equal(stat(path, &status), 0);
        assert_int_equal(status.st_mode & 07777, 0600);
    }
    path_in(fixture, "", path);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0700);
}

/* A secret that others can read is refused, with the command that mends it. */
static void secret_open_to_others_is_refused(void **state)
{
    static const char *const secrets[] = {"tls.key", "ca.key", "ca.next.key", "psk"};
    static const mode_t modes[] = {0640, 0604, 0620};
    struct real_fixture *fixture = *state;
    char path[128];
    char hint[160];

    for (size_t i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++) {
        path_in(fixture, secrets[i], path);
        snprintf(hint, sizeof(hint), "chmod 600 %s", path);
        for (size_t k = 0; k < sizeof(modes) / sizeof(modes[0]); k++) {
            assert_int_equal(chmod(path, modes[k]), 0);
            assert_int_equal(load_real(fixture), OSR_PERMISSION_DENIED);
            assert_non_null(strstr(fixture->err.message, path));
            assert_string_equal(fixture->err.hint, hint);
        }
        assert_int_equal(chmod(path, 0600), 0);
        assert_int_equal(load_real(fixture), 0);
    }
}

/* Certificates may be read by others, but not written. */
static void certificates_may_be_read_by_others(void **state)
{
    struct real_fixture *fixture = *state;
    char path[128];

    path_in(fixture, "authorities.pem", path);
    assert_int_equal(chmod(path, 0644), 0);
    assert_int_equal(load_real(fixture), 0);
    assert_int_equal(chmod(path, 0664), 0);
    assert_int_equal(load_real(fixture), OSR_PERMISSION_DENIED);
}

/* What is no file of this user is refused: a folder, a FIFO (at once), a link, another's file. */
static void trust_files_must_be_files(void **state)
{
    struct real_fixture *fixture = *state;
    char path[128];

    path_in(fixture, "tls.crt", path);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_not_equal(load_real(fixture), 0);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(load_real(fixture), OSR_FOREIGN_FILE);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("ca.crt", path), 0);
    assert_int_not_equal(load_real(fixture), 0);
    assert_non_null(strstr(fixture->err.hint, "no link"));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(load_real(fixture), 0);

    path_in(fixture, "tls.key", path);
    if (chown(path, 12345, (gid_t)-1) == 0) { /* as root */
        assert_int_equal(load_real(fixture), OSR_PERMISSION_DENIED);
        assert_non_null(strstr(fixture->err.hint, "chown"));
    }
}

/* While one process looks or changes, no other does; once it is done, the next goes on with what
 * the first has left. */
static void trust_folder_is_used_by_one_at_a_time(void **state)
{
    struct fixture *fixture = *state;
    struct osr_disk *disk = osr_sim_disk_port(fixture->disk);
    struct osr_trust *trust = NULL;
    struct osr_file *held;

    assert_int_equal(osr_trust_folder_ensure_key(fixture->folder, &fixture->err), 0);
    assert_int_equal(disk->ops->lock_folder(disk, "data", 0, &held, &fixture->err), 0);
    assert_int_equal(osr_trust_folder_load(fixture->folder, &trust, &fixture->err), OSR_BUSY);
    assert_int_equal(
        osr_trust_folder_add_shared_key(fixture->folder, "k", osr_slice(NULL, 0), &fixture->err),
        OSR_BUSY);
    assert_non_null(strstr(fixture->err.hint, "try again"));
    disk->ops->close(disk, held);
    assert_int_equal(osr_trust_folder_load(fixture->folder, &trust, &fixture->err), 0);
    assert_int_equal(trust->shared_keys.count, 0);
    osr_trust_destroy(trust);
    assert_int_equal(
        osr_trust_folder_add_shared_key(fixture->folder, "k", osr_slice(NULL, 0), &fixture->err),
        0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(trust_folder_begins_empty, set_up, tear_down),
        cmocka_unit_test_setup_teardown(trust_folder_makes_the_key_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(trust_folder_is_made_for_good, set_up, tear_down),
        cmocka_unit_test_setup_teardown(trust_folder_keeps_a_certificate, set_up, tear_down),
        cmocka_unit_test_setup_teardown(trust_folder_believes_authorities, set_up, tear_down),
        cmocka_unit_test_setup_teardown(trust_folder_rotates_the_authority, set_up, tear_down),
        cmocka_unit_test_setup_teardown(trust_folder_keeps_shared_keys, set_up, tear_down),
        cmocka_unit_test_setup_teardown(trust_folder_limits_shared_keys, set_up, tear_down),
        cmocka_unit_test_setup_teardown(trust_folder_refuses_a_key_of_another_certificate, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(trust_folder_refuses_halves, set_up, tear_down),
        cmocka_unit_test_setup_teardown(trust_folder_refuses_foreign_files, set_up, tear_down),
        cmocka_unit_test_setup_teardown(trust_folder_refuses_a_long_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(trust_folder_refuses_foreign_shared_keys, set_up,
                                        tear_down),
        cmocka_unit_test(trust_folder_survives_power_cuts),
        cmocka_unit_test_setup_teardown(trust_folder_survives_a_full_disk, set_up, tear_down),
        cmocka_unit_test_setup_teardown(trust_folder_is_used_by_one_at_a_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(trust_files_are_private, set_up_real, tear_down_real),
        cmocka_unit_test_setup_teardown(secret_open_to_others_is_refused, set_up_real,
                                        tear_down_real),
        cmocka_unit_test_setup_teardown(certificates_may_be_read_by_others, set_up_real,
                                        tear_down_real),
        cmocka_unit_test_setup_teardown(trust_files_must_be_files, set_up_real, tear_down_real),
    };

    return cmocka_run_group_tests_name("trust_folder", tests, make_parties, free_parties);
}

#include "node/trust_record.h"

#include <assert.h>
#include <stdlib.h>

#include "base/text.h"
#include "model/limits.h"
#include "wire/codec.h"

static const char collection[] = "trust";

bool osr_trust_record_travels(enum osr_credential_kind kind)
{
    return kind == OSR_CREDENTIAL_REVOCATION || kind == OSR_CREDENTIAL_MEMBER ||
           kind == OSR_CREDENTIAL_INVITATION;
}

/* ---- writing ---- */

enum { FINGERPRINT_CHARS = 2 * OSR_SHA256_SIZE };

/* Of the CA; empty where no certificate is meant. */
static void write_authority(char text[FINGERPRINT_CHARS + 1], const char *serial,
                            const struct osr_hash *authority)
{
    text[0] = '\0';
    if (serial[0] != '\0') {
        osr_hex_encode(text, osr_slice(authority->bytes, sizeof(authority->bytes)));
    }
}

static void encode(const Osr__TrustRecord *message, struct osr_buffer *data)
{
    osr_message_encode(OSR_CODEC_JSON, &message->base, data);
}

static void write_revocation(const struct osr_revocation_record *revocation,
                             struct osr_buffer *data)
{
    Osr__TrustRecord message = OSR__TRUST_RECORD__INIT;
    Osr__RevocationRecord record = OSR__REVOCATION_RECORD__INIT;
    char authority[FINGERPRINT_CHARS + 1];
    write_authority(authority, revocation->serial, &revocation->authority);
    record.serial = (char *)revocation->serial;
    record.authority = authority;
    record.who = (char *)revocation->who;
    record.revoked_by = (char *)revocation->revoked_by;
    record.revoked_ms = revocation->revoked_ms;
    record.expires_ms = revocation->expires_ms;
    message.what_case = OSR__TRUST_RECORD__WHAT_REVOCATION;
    message.revocation = &record;
    encode(&message, data);
}

static void write_member(const struct osr_member_record *member, struct osr_buffer *data)
{
    Osr__TrustRecord message = OSR__TRUST_RECORD__INIT;
    Osr__MemberRecord record = OSR__MEMBER_RECORD__INIT;
    char authority[FINGERPRINT_CHARS + 1];
    write_authority(authority, member->serial, &member->authority);
    record.instance = (char *)member->instance;
    record.name = (char *)member->name;
    record.n_roles = member->roles.count;
    record.roles = (char **)(void *)member->roles.names;
    record.serial = (char *)member->serial;
    record.authority = authority;
    record.invited_by = (char *)member->invited_by;
    record.joined_ms = member->joined_ms;
    record.expires_ms = member->expires_ms;
    message.what_case = OSR__TRUST_RECORD__WHAT_MEMBER;
    message.member = &record;
    encode(&message, data);
}

static void write_invitation(const struct osr_invitation_record *invitation,
                             struct osr_buffer *data)
{
    Osr__TrustRecord message = OSR__TRUST_RECORD__INIT;
    Osr__InvitationRecord record = OSR__INVITATION_RECORD__INIT;
    record.id = (char *)invitation->id;
    record.role = (char *)invitation->role;
    record.created_by = (char *)invitation->created_by;
    record.created_ms = invitation->created_ms;
    record.expires_ms = invitation->expires_ms;
    record.used_by = (char *)invitation->used_by;
    record.used_ms = invitation->used_ms;
    record.revoked_by = (char *)invitation->revoked_by;
    record.revoked_ms = invitation->revoked_ms;
    message.what_case = OSR__TRUST_RECORD__WHAT_INVITATION;
    message.invitation = &record;
    encode(&message, data);
}

static void write_data(const struct osr_credential *credential, struct osr_buffer *data)
{
    switch (credential->kind) {
    case OSR_CREDENTIAL_REVOCATION:
        write_revocation(&credential->revocation, data);
        break;
    case OSR_CREDENTIAL_MEMBER:
        write_member(&credential->member, data);
        break;
    case OSR_CREDENTIAL_INVITATION:
        write_invitation(&credential->invitation, data);
        break;
    default:
        abort();
    }
}

static char *id_in_key(char *key)
{
    return key + strlen(OSR_CREDENTIAL_PREFIX);
}

int osr_trust_record_write(struct osr_trust_record *ret_record,
                           const struct osr_credential *credential, struct osr_err *err)
{
    struct osr_trust_record *record = ret_record;
    char *key = osr_credential_key(credential);
    if (strlen(id_in_key(key)) > OSR_ID_BYTES_MAX) {
        osr_err_set(err, OSR_INVALID_ARGUMENT, "%.160s: the name is too long for the trust feed",
                    key);
        free(key);
        return OSR_INVALID_ARGUMENT;
    }
    *record = (struct osr_trust_record){.key = key};
    write_data(credential, &record->data);
    osr__json__init(&record->json);
    record->json.text = (ProtobufCBinaryData){record->data.size, record->data.data};
    osr__document__init(&record->document);
    record->document.id = id_in_key(key);
    record->document.collection = (char *)collection;
    record->document.data = &record->json;
    return 0;
}

void osr_trust_record_done(struct osr_trust_record *record)
{
    osr_buffer_done(&record->data);
    free(record->key);
    *record = (struct osr_trust_record){.key = NULL};
}

/* ---- reading ---- */

/* A record that is being read: what is wrong with it is asked at the end. */
struct reading {
    bool is_damaged;
};

/* Goes into lists and logs. */
static const char *take_text(struct reading *reading, const char *text)
{
    struct osr_slice slice = osr_slice_text(text);
    reading->is_damaged |= slice.size > OSR_CREDENTIAL_WHO_BYTES_MAX || !osr_text_is_plain(slice);
    return text;
}

static bool read_hex(const char *text, struct osr_hash *hash)
{
    bool is_good = strlen(text) == FINGERPRINT_CHARS;
    for (size_t i = 0; is_good && i < sizeof(hash->bytes); i++) {
        int high = osr_hex_value((uint8_t)text[2 * i]);
        int low = osr_hex_value((uint8_t)text[2 * i + 1]);
        is_good = high >= 0 && low >= 0;
        hash->bytes[i] = (uint8_t)(is_good ? high << 4 | low : 0);
    }
    return is_good;
}

static struct osr_hash take_authority(struct reading *reading, const char *serial,
                                      const char *authority)
{
    struct osr_hash hash = {{0}};
    reading->is_damaged |= serial[0] == '\0' ? authority[0] != '\0' : !read_hex(authority, &hash);
    return hash;
}

static struct osr_role_names take_roles(struct reading *reading, char *const *roles, size_t count)
{
    struct osr_role_names taken = {.count = 0};
    reading->is_damaged |= count > OSR_CREDENTIAL_ROLES_MAX;
    for (; !reading->is_damaged && taken.count < count; taken.count++) {
        taken.names[taken.count] = take_text(reading, roles[taken.count]);
    }
    return taken;
}

static void read_revocation(struct reading *reading, const Osr__RevocationRecord *record,
                            struct osr_revocation_record *revocation)
{
    *revocation = (struct osr_revocation_record){
        .serial = take_text(reading, record->serial),
        .authority = take_authority(reading, record->serial, record->authority),
        .who = take_text(reading, record->who),
        .revoked_by = take_text(reading, record->revoked_by),
        .revoked_ms = record->revoked_ms,
        .expires_ms = record->expires_ms,
    };
    reading->is_damaged |= strlen(record->serial) >= OSR_SERIAL_TEXT_MAX ||
                           (record->serial[0] == '\0' && record->who[0] == '\0');
}

static void read_member(struct reading *reading, const Osr__MemberRecord *record,
                        struct osr_member_record *member)
{
    *member = (struct osr_member_record){
        .instance = record->instance,
        .name = take_text(reading, record->name),
        .roles = take_roles(reading, record->roles, record->n_roles),
        .serial = take_text(reading, record->serial),
        .authority = take_authority(reading, record->serial, record->authority),
        .invited_by = take_text(reading, record->invited_by),
        .joined_ms = record->joined_ms,
        .expires_ms = record->expires_ms,
    };
    reading->is_damaged |= !osr_instance_id_is_valid(record->instance);
}

static void read_invitation(struct reading *reading, const Osr__InvitationRecord *record,
                            struct osr_invitation_record *invitation)
{
    *invitation = (struct osr_invitation_record){
        .id = take_text(reading, record->id),
        .role = take_text(reading, record->role),
        .created_by = take_text(reading, record->created_by),
        .created_ms = record->created_ms,
        .expires_ms = record->expires_ms,
        .used_by = take_text(reading, record->used_by),
        .used_ms = record->used_ms,
        .revoked_by = take_text(reading, record->revoked_by),
        .revoked_ms = record->revoked_ms,
    };
}

/* False: what it is about is not known here. */
static bool read_message(struct reading *reading, const Osr__TrustRecord *message,
                         struct osr_credential *credential)
{
    switch (message->what_case) {
    case OSR__TRUST_RECORD__WHAT_REVOCATION:
        credential->kind = OSR_CREDENTIAL_REVOCATION;
        read_revocation(reading, message->revocation, &credential->revocation);
        return true;
    case OSR__TRUST_RECORD__WHAT_MEMBER:
        credential->kind = OSR_CREDENTIAL_MEMBER;
        read_member(reading, message->member, &credential->member);
        return true;
    case OSR__TRUST_RECORD__WHAT_INVITATION:
        credential->kind = OSR_CREDENTIAL_INVITATION;
        read_invitation(reading, message->invitation, &credential->invitation);
        return true;
    default:
        return false;
    }
}

static bool has_id(const struct osr_credential *credential, const char *id)
{
    char *key = osr_credential_key(credential);
    bool is_equal = strcmp(id_in_key(key), id) == 0;
    free(key);
    return is_equal;
}

static int decode(const Osr__Document *document, struct osr_arena *arena,
                  Osr__TrustRecord **ret_message, struct osr_err *err)
{
    ProtobufCMessage *message = NULL;
    if (document->data == NULL || document->data->text.len > OSR_TRUST_RECORD_BYTES_MAX) {
        return (int)osr_err_set(err, OSR_CORRUPT, "it has no data, or more than %d bytes",
                                OSR_TRUST_RECORD_BYTES_MAX);
    }
    struct osr_slice data = osr_slice(document->data->text.data, document->data->text.len);
    int code = osr_message_decode(OSR_CODEC_JSON, &osr__trust_record__descriptor, data, arena,
                                  &message, err);
    if (code != 0) {
        err->code = OSR_CORRUPT;
        return OSR_CORRUPT;
    }
    assert(message != NULL);
    *ret_message = (Osr__TrustRecord *)message;
    return 0;
}

int osr_trust_record_read(const Osr__Document *document, struct osr_arena *arena,
                          struct osr_credential *ret_credential, struct osr_err *err)
{
    struct osr_credential credential = {.kind = OSR_CREDENTIAL_KIND_COUNT};
    struct reading reading = {.is_damaged = false};
    Osr__TrustRecord *message = NULL;
    if (strcmp(document->collection, collection) != 0) {
        return (int)osr_err_set(err, OSR_UNSUPPORTED_VERSION,
                                "it is of the collection '%.128s', which a newer osirisd knows",
                                document->collection);
    }
    int code = decode(document, arena, &message, err);
    if (code != 0) {
        return code;
    }
    if (!read_message(&reading, message, &credential)) {
        return (int)osr_err_set(err, OSR_UNSUPPORTED_VERSION,
                                "it is of a kind that a newer osirisd knows");
    }
    if (reading.is_damaged || !has_id(&credential, document->id)) {
        return (int)osr_err_set(err, OSR_CORRUPT, "its data is not what its id says");
    }
    *ret_credential = credential;
    return 0;
}

#include "node/credential.h"

#include <assert.h>
#include <stdlib.h>

#include "base/text.h"
#include "model/form.h"

enum { FORMAT = 1 };

static const struct {
    const char *key;
    const char *name;
} kinds[] = {
#define KIND_ROW(name, key, text) [OSR_CREDENTIAL_##name] = {key, text},
    OSR_CREDENTIAL_KINDS(KIND_ROW)
#undef KIND_ROW
};

const char *osr_credential_kind_name(enum osr_credential_kind kind)
{
    assert((unsigned)kind < OSR_CREDENTIAL_KIND_COUNT);
    return kinds[kind].name;
}

/* ---- keys ---- */

char *osr_credential_named_key(enum osr_credential_kind kind, const char *name)
{
    return osr_format(OSR_CREDENTIAL_PREFIX "%s:%s", kinds[kind].key, name);
}

char *osr_revocation_key(const char *serial, const struct osr_hash *authority)
{
    char fingerprint[2 * OSR_SHA256_SIZE + 1];
    osr_hex_encode(fingerprint, osr_slice(authority->bytes, sizeof(authority->bytes)));
    return osr_format(OSR_CREDENTIAL_PREFIX "%s:%s:%s", kinds[OSR_CREDENTIAL_REVOCATION].key,
                      fingerprint, serial);
}

char *osr_credential_key(const struct osr_credential *credential)
{
    switch (credential->kind) {
    case OSR_CREDENTIAL_TOKEN:
        return osr_credential_named_key(credential->kind, credential->token.id);
    case OSR_CREDENTIAL_USER:
        return osr_credential_named_key(credential->kind, credential->user.name);
    case OSR_CREDENTIAL_INVITATION:
        return osr_credential_named_key(credential->kind, credential->invitation.id);
    case OSR_CREDENTIAL_REVOCATION:
        return credential->revocation.serial[0] == '\0'
                   ? osr_credential_named_key(credential->kind, credential->revocation.who)
                   : osr_revocation_key(credential->revocation.serial,
                                        &credential->revocation.authority);
    case OSR_CREDENTIAL_MEMBER:
        return osr_credential_named_key(credential->kind, credential->member.instance);
    default:
        abort();
    }
}

int osr_credential_kind_of_key(const char *key, enum osr_credential_kind *ret_kind,
                               struct osr_err *err)
{
    assert(strncmp(key, OSR_CREDENTIAL_PREFIX, strlen(OSR_CREDENTIAL_PREFIX)) == 0);
    const char *rest = key + strlen(OSR_CREDENTIAL_PREFIX);
    for (size_t i = 0; i < OSR_CREDENTIAL_KIND_COUNT; i++) {
        size_t size = strlen(kinds[i].key);
        if (strncmp(rest, kinds[i].key, size) == 0 && rest[size] == ':') {
            *ret_kind = (enum osr_credential_kind)i;
            return 0;
        }
    }
    return osr_err_set(err, OSR_UNSUPPORTED_VERSION,
                       "%.80s: a kind of credential that a newer osirisd knows", key);
}

/* ---- encoding ---- */

static void add_hash(struct osr_buffer *value, const struct osr_hash *hash)
{
    osr_buffer_add(value, hash->bytes, sizeof(hash->bytes));
}

static void add_roles(struct osr_buffer *value, const struct osr_role_names *roles)
{
    assert(roles->count <= OSR_CREDENTIAL_ROLES_MAX);
    osr_buffer_add_u32(value, (uint32_t)roles->count);
    for (size_t i = 0; i < roles->count; i++) {
        osr_form_add_text(value, roles->names[i]);
    }
}

static void add_token(struct osr_buffer *value, const struct osr_token_record *token)
{
    osr_form_add_text(value, token->id);
    add_hash(value, &token->hash);
    osr_form_add_text(value, token->name);
    add_roles(value, &token->roles);
    osr_form_add_text(value, token->created_by);
    osr_buffer_add_u64(value, token->created_ms);
    osr_buffer_add_u64(value, token->expires_ms);
    osr_form_add_text(value, token->revoked_by);
    osr_buffer_add_u64(value, token->revoked_ms);
}

static void add_user(struct osr_buffer *value, const struct osr_user_record *user)
{
    osr_form_add_text(value, user->name);
    osr_form_add_text(value, user->password_hash);
    add_roles(value, &user->roles);
    osr_buffer_add_u64(value, user->created_ms);
    osr_buffer_add_u8(value, user->is_disabled);
}

static void add_invitation(struct osr_buffer *value, const struct osr_invitation_record *invitation)
{
    osr_form_add_text(value, invitation->id);
    add_hash(value, &invitation->hash);
    osr_form_add_text(value, invitation->role);
    osr_form_add_text(value, invitation->created_by);
    osr_buffer_add_u64(value, invitation->created_ms);
    osr_buffer_add_u64(value, invitation->expires_ms);
    osr_form_add_text(value, invitation->used_by);
    osr_buffer_add_u64(value, invitation->used_ms);
    osr_form_add_text(value, invitation->revoked_by);
    osr_buffer_add_u64(value, invitation->revoked_ms);
}

static void add_revocation(struct osr_buffer *value, const struct osr_revocation_record *revocation)
{
    osr_form_add_text(value, revocation->serial);
    add_hash(value, &revocation->authority);
    osr_form_add_text(value, revocation->who);
    osr_form_add_text(value, revocation->revoked_by);
    osr_buffer_add_u64(value, revocation->revoked_ms);
    osr_buffer_add_u64(value, revocation->expires_ms);
}

static void add_member(struct osr_buffer *value, const struct osr_member_record *member)
{
    osr_form_add_text(value, member->instance);
    osr_form_add_text(value, member->name);
    add_roles(value, &member->roles);
    osr_form_add_text(value, member->serial);
    add_hash(value, &member->authority);
    osr_form_add_text(value, member->invited_by);
    osr_buffer_add_u64(value, member->joined_ms);
    osr_buffer_add_u64(value, member->expires_ms);
}

void osr_credential_encode(const struct osr_credential *credential, struct osr_buffer *value)
{
    osr_buffer_add_u8(value, FORMAT);
    switch (credential->kind) {
    case OSR_CREDENTIAL_TOKEN:
        add_token(value, &credential->token);
        break;
    case OSR_CREDENTIAL_USER:
        add_user(value, &credential->user);
        break;
    case OSR_CREDENTIAL_INVITATION:
        add_invitation(value, &credential->invitation);
        break;
    case OSR_CREDENTIAL_REVOCATION:
        add_revocation(value, &credential->revocation);
        break;
    case OSR_CREDENTIAL_MEMBER:
        add_member(value, &credential->member);
        break;
    default:
        abort();
    }
}

/* ---- decoding ---- */

struct reader {
    struct osr_form_reader form;
    char *texts; /* where the next one goes: in the form each has four bytes more, here one */
};

static const char *read_text(struct reader *reader)
{
    struct osr_slice text = osr_form_read_slice(&reader->form);
    if (text.size == 0) {
        return "";
    }
    if (memchr(text.data, '\0', text.size) != NULL) {
        reader->form.is_damaged = true;
        return "";
    }
    char *copy = memcpy(reader->texts, text.data, text.size);
    copy[text.size] = '\0';
    reader->texts += text.size + 1;
    return copy;
}

static struct osr_hash read_hash(struct reader *reader)
{
    struct osr_hash hash = {{0}};
    const uint8_t *bytes = osr_form_read_bytes(&reader->form, sizeof(hash.bytes));
    if (bytes != NULL) {
        memcpy(hash.bytes, bytes, sizeof(hash.bytes));
    }
    return hash;
}

static struct osr_role_names read_roles(struct reader *reader)
{
    struct osr_role_names roles = {
        .count = osr_form_read_count(&reader->form, OSR_CREDENTIAL_ROLES_MAX)};
    for (size_t i = 0; i < roles.count; i++) {
        roles.names[i] = read_text(reader);
    }
    return roles;
}

/* Members are read in the order in which they stand: so no initialisers here. */
static void read_token(struct reader *reader, struct osr_token_record *token)
{
    token->id = read_text(reader);
    token->hash = read_hash(reader);
    token->name = read_text(reader);
    token->roles = read_roles(reader);
    token->created_by = read_text(reader);
    token->created_ms = osr_form_read_u64(&reader->form);
    token->expires_ms = osr_form_read_u64(&reader->form);
    token->revoked_by = read_text(reader);
    token->revoked_ms = osr_form_read_u64(&reader->form);
}

static void read_user(struct reader *reader, struct osr_user_record *user)
{
    user->name = read_text(reader);
    user->password_hash = read_text(reader);
    user->roles = read_roles(reader);
    user->created_ms = osr_form_read_u64(&reader->form);
    user->is_disabled = osr_form_read_flag(&reader->form);
}

static void read_invitation(struct reader *reader, struct osr_invitation_record *invitation)
{
    invitation->id = read_text(reader);
    invitation->hash = read_hash(reader);
    invitation->role = read_text(reader);
    invitation->created_by = read_text(reader);
    invitation->created_ms = osr_form_read_u64(&reader->form);
    invitation->expires_ms = osr_form_read_u64(&reader->form);
    invitation->used_by = read_text(reader);
    invitation->used_ms = osr_form_read_u64(&reader->form);
    invitation->revoked_by = read_text(reader);
    invitation->revoked_ms = osr_form_read_u64(&reader->form);
}

static void read_revocation(struct reader *reader, struct osr_revocation_record *revocation)
{
    revocation->serial = read_text(reader);
    revocation->authority = read_hash(reader);
    revocation->who = read_text(reader);
    revocation->revoked_by = read_text(reader);
    revocation->revoked_ms = osr_form_read_u64(&reader->form);
    revocation->expires_ms = osr_form_read_u64(&reader->form);
}

static void read_member(struct reader *reader, struct osr_member_record *member)
{
    member->instance = read_text(reader);
    member->name = read_text(reader);
    member->roles = read_roles(reader);
    member->serial = read_text(reader);
    member->authority = read_hash(reader);
    member->invited_by = read_text(reader);
    member->joined_ms = osr_form_read_u64(&reader->form);
    member->expires_ms = osr_form_read_u64(&reader->form);
}

static void read_record(struct reader *reader, struct osr_credential *credential)
{
    switch (credential->kind) {
    case OSR_CREDENTIAL_TOKEN:
        read_token(reader, &credential->token);
        break;
    case OSR_CREDENTIAL_USER:
        read_user(reader, &credential->user);
        break;
    case OSR_CREDENTIAL_INVITATION:
        read_invitation(reader, &credential->invitation);
        break;
    case OSR_CREDENTIAL_REVOCATION:
        read_revocation(reader, &credential->revocation);
        break;
    case OSR_CREDENTIAL_MEMBER:
        read_member(reader, &credential->member);
        break;
    default:
        abort();
    }
}

static bool has_key(const struct osr_credential *credential, const char *key)
{
    char *own = osr_credential_key(credential);
    bool is_equal = strcmp(own, key) == 0;
    free(own);
    return is_equal;
}

int osr_credential_decode(const char *key, struct osr_slice value, char *texts,
                          struct osr_credential *ret_credential, struct osr_err *err)
{
    struct osr_credential credential = {0};
    struct reader reader = {.form = {.left = value}, .texts = texts};
    int code = osr_credential_kind_of_key(key, &credential.kind, err);
    if (code != 0) {
        return code;
    }
    uint8_t format = osr_form_read_u8(&reader.form);
    if (format > FORMAT) {
        return osr_err_set(err, OSR_UNSUPPORTED_VERSION,
                           "%.160s: has format %u, made by a newer osirisd", key, format);
    }
    read_record(&reader, &credential);
    if (format != FORMAT || reader.form.is_damaged || reader.form.left.size > 0 ||
        !has_key(&credential, key)) {
        return osr_err_set(err, OSR_CORRUPT, "%.160s: its %zu bytes are damaged", key, value.size);
    }
    *ret_credential = credential;
    return 0;
}

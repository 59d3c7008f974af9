#include "model/token.h"

#include <assert.h>
#include <stdlib.h>

#include "base/text.h"
#include "base/url.h"
#include "model/form.h"

enum {
    PREFIX_CHARS = 5,
    CHECK_SIZE = 4,
    BODY_SIZE = OSR_CLUSTER_TAG_SIZE + OSR_SECRET_ID_SIZE + OSR_SECRET_SIZE, /* what both have */
    TOKEN_SIZE = BODY_SIZE + CHECK_SIZE,
    INVITATION_VERSION = 1,
    INVITATION_HEAD_SIZE = 1 + BODY_SIZE + OSR_SHA256_SIZE + 1, /* with the count */
    INVITATION_SIZE_MAX = INVITATION_HEAD_SIZE +
                          OSR_INVITATION_ADDRESSES_MAX * (1 + OSR_INVITATION_ADDRESS_BYTES_MAX) +
                          CHECK_SIZE,
};

#define CHARS_OF(size) (((size)*8 + 4) / 5)

_Static_assert(PREFIX_CHARS + CHARS_OF(TOKEN_SIZE) + 1 == OSR_TOKEN_TEXT_MAX, "room for a token");
_Static_assert(PREFIX_CHARS + CHARS_OF(INVITATION_SIZE_MAX) < OSR_INVITATION_TEXT_MAX,
               "room for the longest invitation");

/* ---- the two kinds ---- */

static size_t token_size(struct osr_slice known)
{
    (void)known;
    return TOKEN_SIZE;
}

static size_t invitation_size(struct osr_slice known)
{
    if (known.size > 0 && known.data[0] != INVITATION_VERSION) {
        return CHECK_SIZE; /* who knows how long those are */
    }
    size_t size = INVITATION_HEAD_SIZE;
    size_t count = known.size >= size ? known.data[size - 1] : 0;
    for (; count > 0 && size < known.size; count--) {
        size += 1 + (size_t)known.data[size];
    }
    return size + count + CHECK_SIZE; /* of the others a byte each is there, at least */
}

static const struct kind {
    const char *prefix;
    const char *name;
    const char *description; /* for those who hold it where it does not belong */
    size_t size_max;
    /* How many bytes there must be, by those that are known: the first ones of a text. */
    size_t (*size_of)(struct osr_slice known);
} token_kind = {"osrt_", "token", "a token, which clients show to an instance", TOKEN_SIZE,
                token_size},
  invitation_kind = {"osri_", "invitation", "an invitation, for `osiris join`", INVITATION_SIZE_MAX,
                     invitation_size};

/* ---- clusters and secrets ---- */

struct osr_cluster_tag osr_cluster_tag(const char *cluster)
{
    const struct osr_slice pieces[] = {OSR_FORM_TAG("osiris cluster 1"), osr_slice_text(cluster)};
    struct osr_hash hash = osr_sha256(pieces, sizeof(pieces) / sizeof(pieces[0]));
    struct osr_cluster_tag tag;
    memcpy(tag.bytes, hash.bytes, sizeof(tag.bytes));
    return tag;
}

struct osr_hash osr_token_hash(const struct osr_token *token)
{
    const struct osr_slice pieces[] = {
        OSR_FORM_TAG("osiris token 1"),
        osr_slice(token->cluster.bytes, sizeof(token->cluster.bytes)),
        osr_slice(token->id, sizeof(token->id)),
        osr_slice(token->secret, sizeof(token->secret)),
    };
    return osr_sha256(pieces, sizeof(pieces) / sizeof(pieces[0]));
}

bool osr_token_matches(const struct osr_token *token, const struct osr_hash *hash)
{
    struct osr_hash own = osr_token_hash(token);
    return osr_hash_equal_in_constant_time(&own, hash);
}

void osr_token_id_text(char *text, const struct osr_token *token)
{
    osr_hex_encode(text, osr_slice(token->id, sizeof(token->id)));
}

static uint8_t *put_body(uint8_t *at, const struct osr_token *token)
{
    at = osr_form_bytes(at, token->cluster.bytes, sizeof(token->cluster.bytes));
    at = osr_form_bytes(at, token->id, sizeof(token->id));
    return osr_form_bytes(at, token->secret, sizeof(token->secret));
}

static void get_body(struct osr_token *token, const uint8_t *at)
{
    memcpy(token->cluster.bytes, at, sizeof(token->cluster.bytes));
    at += sizeof(token->cluster.bytes);
    memcpy(token->id, at, sizeof(token->id));
    at += sizeof(token->id);
    memcpy(token->secret, at, sizeof(token->secret));
}

/* ---- bytes with a check, as text and back ---- */

static struct osr_hash check_of(const struct kind *kind, struct osr_slice content)
{
    const struct osr_slice pieces[] = {
        OSR_FORM_TAG("osiris check 1"),
        osr_slice(kind->prefix, PREFIX_CHARS),
        content,
    };
    return osr_sha256(pieces, sizeof(pieces) / sizeof(pieces[0]));
}

/* Puts the check behind the content, for which there is room, and wipes both once they are text. */
static void seal(char *text, const struct kind *kind, uint8_t *content, size_t size)
{
    struct osr_hash check = check_of(kind, osr_slice(content, size));
    memcpy(content + size, check.bytes, CHECK_SIZE);
    memcpy(text, kind->prefix, PREFIX_CHARS);
    osr_base32_encode(text + PREFIX_CHARS, osr_slice(content, size + CHECK_SIZE));
    explicit_bzero(content, size + CHECK_SIZE);
}

/* A text on its way to bytes. Holds secrets: who makes one wipes it. */
struct opening {
    size_t count; /* of the characters, without what stands between them */
    char characters[OSR_INVITATION_TEXT_MAX];
    uint8_t bytes[OSR_INVITATION_TEXT_MAX * 5 / 8];
};

/* Invisible in a mail, or put in to make it legible. */
static bool is_separator(uint8_t character)
{
    return character == '-' || character == '.' || character == ' ' ||
           (character >= '\t' && character <= '\r');
}

static void collect_characters(struct opening *opening, struct osr_slice text)
{
    opening->count = 0;
    for (size_t i = 0; i < text.size; i++) {
        uint8_t character = text.data[i];
        bool is_upper = character >= 'A' && character <= 'Z';
        if (!is_separator(character)) {
            opening->characters[opening->count++] =
                (char)(is_upper ? character - 'A' + 'a' : character);
        }
    }
}

static bool begins_as(const struct opening *opening, const struct kind *kind)
{
    return opening->count >= PREFIX_CHARS &&
           memcmp(opening->characters, kind->prefix, PREFIX_CHARS) == 0;
}

static int refuse_prefix(const struct opening *opening, const struct kind *kind,
                         struct osr_err *err)
{
    const struct kind *other = kind == &token_kind ? &invitation_kind : &token_kind;
    if (opening->count == 0) {
        return osr_err_set(err, OSR_INVALID_ARGUMENT, "there is no %s: the text is empty",
                           kind->name);
    }
    if (begins_as(opening, other)) {
        return osr_err_set(err, OSR_INVALID_ARGUMENT, "this is no %s but %s", kind->name,
                           other->description);
    }
    return osr_err_set(err, OSR_INVALID_ARGUMENT, "this is no %s: those begin with %s", kind->name,
                       kind->prefix);
}

/* What stands behind the prefix. */
static struct osr_slice payload_of(const struct opening *opening)
{
    return osr_slice(opening->characters + PREFIX_CHARS, opening->count - PREFIX_CHARS);
}

static int check_characters(const struct opening *opening, const struct kind *kind,
                            struct osr_err *err)
{
    struct osr_slice payload = payload_of(opening);
    for (size_t i = 0; i < payload.size; i++) {
        if (osr_base32_value(payload.data[i]) < 0) {
            return osr_err_set(err, OSR_INVALID_ARGUMENT,
                               "the %s is mistyped: its character %zu is one that none has",
                               kind->name, PREFIX_CHARS + i + 1);
        }
    }
    if (payload.size > CHARS_OF(kind->size_max)) {
        return osr_err_set(err, OSR_INVALID_ARGUMENT,
                           "the %s has %zu characters, and none has more than %zu", kind->name,
                           opening->count, PREFIX_CHARS + CHARS_OF(kind->size_max));
    }
    return 0;
}

/* Why its check is wrong. */
static int explain(struct opening *opening, const struct kind *kind, struct osr_err *err)
{
    struct osr_slice payload = payload_of(opening);
    /* Eight characters are five bytes; those of a group that was cut are not needed here. */
    struct osr_slice known = osr_slice(opening->bytes, payload.size / 8 * 5);
    bool is_decoded =
        osr_base32_decode(opening->bytes, osr_slice(payload.data, payload.size / 8 * 8));
    assert(is_decoded); /* the characters were checked, and none is left over */
    if (CHARS_OF(kind->size_of(known)) > payload.size) {
        return osr_err_set(err, OSR_INVALID_ARGUMENT,
                           "the %s is cut short: of at least %zu characters %zu are there",
                           kind->name, PREFIX_CHARS + CHARS_OF(kind->size_of(known)),
                           opening->count);
    }
    return osr_err_set(err, OSR_INVALID_ARGUMENT, "the %s is mistyped: its check is wrong",
                       kind->name);
}

/* The bytes in front of the check, which live as long as the opening. */
static int open_text(struct opening *opening, const struct kind *kind, struct osr_slice text,
                     struct osr_slice *ret_content, struct osr_err *err)
{
    if (text.size > OSR_INVITATION_TEXT_MAX) {
        return osr_err_set(err, OSR_INVALID_ARGUMENT, "this is no %s: it has %zu bytes", kind->name,
                           text.size);
    }
    collect_characters(opening, text);
    if (!begins_as(opening, kind)) {
        return refuse_prefix(opening, kind, err);
    }
    int code = check_characters(opening, kind, err);
    if (code != 0) {
        return code;
    }
    struct osr_slice payload = payload_of(opening);
    size_t size = payload.size * 5 / 8;
    if (size <= CHECK_SIZE || !osr_base32_decode(opening->bytes, payload)) {
        return explain(opening, kind, err);
    }
    struct osr_slice content = osr_slice(opening->bytes, size - CHECK_SIZE);
    struct osr_hash check = check_of(kind, content);
    if (memcmp(check.bytes, content.data + content.size, CHECK_SIZE) != 0) {
        return explain(opening, kind, err);
    }
    *ret_content = content;
    return 0;
}

/* Its check is right, so nobody mistyped it: somebody made it so. */
static int refuse_content(const struct kind *kind, struct osr_err *err)
{
    return osr_err_set(err, OSR_INVALID_ARGUMENT, "the %s is whole, but not as Osiris writes them",
                       kind->name);
}

/* ---- tokens ---- */

void osr_token_write(char *text, const struct osr_token *token)
{
    uint8_t content[TOKEN_SIZE];
    put_body(content, token);
    seal(text, &token_kind, content, BODY_SIZE);
}

static int parse_token(struct osr_slice content, const struct osr_cluster_tag *cluster,
                       struct osr_token *ret_token, struct osr_err *err)
{
    if (content.size != BODY_SIZE) {
        return refuse_content(&token_kind, err);
    }
    if (cluster != NULL && memcmp(content.data, cluster->bytes, sizeof(cluster->bytes)) != 0) {
        return osr_err_set(err, OSR_WRONG_CLUSTER, "the token is one of another cluster");
    }
    get_body(ret_token, content.data);
    return 0;
}

int osr_token_read(struct osr_slice text, const struct osr_cluster_tag *cluster,
                   struct osr_token *ret_token, struct osr_err *err)
{
    struct opening opening;
    struct osr_slice content = {0};
    int code = open_text(&opening, &token_kind, text, &content, err);
    if (code == 0) {
        code = parse_token(content, cluster, ret_token, err);
    }
    explicit_bzero(&opening, sizeof(opening));
    return code;
}

/* ---- invitations ---- */

void osr_invitation_write(struct osr_buffer *text, const struct osr_invitation *invitation)
{
    uint8_t content[INVITATION_SIZE_MAX];
    assert(invitation->address_count >= 1 &&
           invitation->address_count <= OSR_INVITATION_ADDRESSES_MAX);
    uint8_t *at = content;
    *at++ = INVITATION_VERSION;
    at = put_body(at, &invitation->token);
    at = osr_form_bytes(at, invitation->ca_fingerprint.bytes, OSR_SHA256_SIZE);
    *at++ = (uint8_t)invitation->address_count;
    for (size_t i = 0; i < invitation->address_count; i++) {
        size_t size = strlen(invitation->addresses[i]);
        assert(size >= 1 && size <= OSR_INVITATION_ADDRESS_BYTES_MAX);
        *at++ = (uint8_t)size;
        at = osr_form_bytes(at, invitation->addresses[i], size);
    }
    size_t size = (size_t)(at - content);
    /* Room for all of it at once: a buffer that grows leaves copies behind. */
    size_t chars = PREFIX_CHARS + CHARS_OF(size + CHECK_SIZE);
    seal((char *)osr_buffer_reserve(text, chars + 1), &invitation_kind, content, size);
    text->size += chars;
}

/* Takes one address from the front of *left. NULL: there is none that could be right. */
static char *take_address(struct osr_slice *left)
{
    size_t size = left->size > 0 ? left->data[0] : 0;
    if (size == 0 || size > left->size - 1) {
        return NULL;
    }
    struct osr_slice address = osr_slice(left->data + 1, size);
    *left = osr_slice(address.data + size, left->size - 1 - size);
    if (!osr_text_is_plain(address) || !osr_utf8_is_valid(address)) {
        return NULL;
    }
    char *copy = osr_alloc(size + 1);
    memcpy(copy, address.data, size);
    return copy;
}

/* Fills an empty one; after a failure it may hold some addresses. */
static int parse_content(struct osr_slice content, struct osr_invitation *invitation,
                         struct osr_err *err)
{
    if (content.size > 0 && content.data[0] != INVITATION_VERSION) {
        osr_err_set(err, OSR_UNSUPPORTED_VERSION,
                    "the invitation is of version %u, and this Osiris knows version %d",
                    content.data[0], INVITATION_VERSION);
        osr_err_hint(err, "join with the version of Osiris that the inviting instance runs");
        return OSR_UNSUPPORTED_VERSION;
    }
    if (content.size < INVITATION_HEAD_SIZE) {
        return refuse_content(&invitation_kind, err);
    }
    const uint8_t *at = content.data + 1;
    get_body(&invitation->token, at);
    memcpy(invitation->ca_fingerprint.bytes, at + BODY_SIZE, OSR_SHA256_SIZE);
    size_t count = content.data[INVITATION_HEAD_SIZE - 1];
    if (count < 1 || count > OSR_INVITATION_ADDRESSES_MAX) {
        return refuse_content(&invitation_kind, err);
    }
    struct osr_slice left =
        osr_slice(content.data + INVITATION_HEAD_SIZE, content.size - INVITATION_HEAD_SIZE);
    for (; invitation->address_count < count; invitation->address_count++) {
        char *address = take_address(&left);
        if (address == NULL) {
            return refuse_content(&invitation_kind, err);
        }
        invitation->addresses[invitation->address_count] = address;
    }
    return left.size == 0 ? 0 : refuse_content(&invitation_kind, err);
}

int osr_invitation_read(struct osr_slice text, struct osr_invitation *ret_invitation,
                        struct osr_err *err)
{
    struct opening opening;
    struct osr_slice content = {0};
    struct osr_invitation invitation = {0};
    int code = open_text(&opening, &invitation_kind, text, &content, err);
    if (code == 0) {
        code = parse_content(content, &invitation, err);
    }
    explicit_bzero(&opening, sizeof(opening));
    if (code != 0) {
        osr_invitation_done(&invitation);
        return code;
    }
    *ret_invitation = invitation;
    explicit_bzero(&invitation, sizeof(invitation));
    return 0;
}

int osr_invitation_check_address(const char *address, struct osr_err *err)
{
    struct osr_url url;
    int code = osr_url_parse(address, &url, err);

    if (code == 0 && !(osr_url_is_secure(&url) && osr_url_is_stream(&url))) {
        code = (int)osr_err_set(err, OSR_INVALID_ARGUMENT,
                                "%s: an invitation is for tls:// or grpcs://", address);
    }
    return code;
}

void osr_invitation_done(struct osr_invitation *invitation)
{
    for (size_t i = 0; i < invitation->address_count; i++) {
        free(invitation->addresses[i]);
    }
    explicit_bzero(invitation, sizeof(*invitation));
}

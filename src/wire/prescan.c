/* Checks protobuf bytes against a descriptor before anything is allocated for them. */
#include "wire/encoding.h"

#include "base/json_scan.h"
#include "base/text.h"
#include "model/limits.h"

#include <assert.h>

/* How protobuf-c 1.4 allocates while it unpacks one message: the first members are noted on its
 * stack, more of them in slabs that double. They are freed at the end, but an arena frees nothing.
 */
enum {
    MEMBERS_ON_STACK = 16,
    NOTED_MEMBER_SIZE = 32,
    ALLOCATION_ROUNDING = 16, /* what an arena may add to each piece */
};

struct prescan {
    size_t bytes_left; /* of what unpacking may allocate */
    bool has_unknown;
    struct osr_err *err;
};

/* One message on the way. */
struct level {
    const ProtobufCMessageDescriptor *descriptor;
    const uint8_t *at;
    const uint8_t *end;
    int depth;
    bool is_strict; /* an Entry, or within one */
    struct osr_field_set seen;
    size_t members;    /* fields met, also unknown ones */
    size_t next_field; /* index of the field that is likely to come next */
};

/* One field as it stands in the bytes. */
struct member {
    uint32_t id;
    uint32_t wire_type;
    uint64_t number;        /* of a varint */
    struct osr_slice bytes; /* of a length-prefixed one */
    size_t size;            /* bytes of the whole value, prefix included */
};

static int scan_message(struct prescan *scan, const ProtobufCMessageDescriptor *descriptor,
                        struct osr_slice bytes, const struct level *outer);

/* ---- reading ---- */

static bool read_varint(const uint8_t **at, const uint8_t *end, uint64_t *ret_number)
{
    uint64_t number = 0;
    for (unsigned shift = 0; shift < 64 && *at < end; shift += 7) {
        uint8_t byte = *(*at)++;
        number |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *ret_number = number;
            return true;
        }
    }
    return false;
}

static bool read_value(struct level *level, struct member *member)
{
    uint64_t length = 0;
    switch (member->wire_type) {
    case PROTOBUF_C_WIRE_TYPE_VARINT:
        return read_varint(&level->at, level->end, &member->number);
    case PROTOBUF_C_WIRE_TYPE_64BIT:
        length = 8;
        break;
    case PROTOBUF_C_WIRE_TYPE_32BIT:
        length = 4;
        break;
    case PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED:
        if (!read_varint(&level->at, level->end, &length)) {
            return false;
        }
        break;
    default: /* groups, and what does not exist */
        return false;
    }
    if (length > (uint64_t)(level->end - level->at)) {
        return false;
    }
    member->bytes = osr_slice(level->at, (size_t)length);
    level->at += length;
    return true;
}

static bool read_member(struct level *level, struct member *member)
{
    uint64_t tag;
    *member = (struct member){0};
    if (!read_varint(&level->at, level->end, &tag) || tag > UINT32_MAX || tag >> 3 == 0) {
        return false;
    }
    member->id = (uint32_t)(tag >> 3);
    member->wire_type = tag & 7;
    const uint8_t *begin = level->at;
    bool is_read = read_value(level, member);
    member->size = (size_t)(level->at - begin);
    return is_read;
}

/* ---- what unpacking will allocate ---- */

static int charge(struct prescan *scan, size_t bytes)
{
    if (bytes > scan->bytes_left) {
        return osr_err_set(scan->err, OSR_TOO_LARGE, "message would unfold into too much memory");
    }
    scan->bytes_left -= bytes;
    return 0;
}

/* Each piece is smaller than the input, which is far smaller than SIZE_MAX. */
static int charge_piece(struct prescan *scan, size_t bytes)
{
    return charge(scan, bytes + ALLOCATION_ROUNDING);
}

static int charge_noted_members(struct prescan *scan, size_t members)
{
    size_t noted = MEMBERS_ON_STACK;
    size_t slab = MEMBERS_ON_STACK;
    int code = 0;
    while (noted < members && code == 0) {
        slab *= 2;
        noted += slab;
        code = charge_piece(scan, slab * NOTED_MEMBER_SIZE);
    }
    return code;
}

/* An array's elements; its own rounding comes with the first. */
static int charge_element(struct prescan *scan, size_t bytes, bool is_first)
{
    return charge(scan, bytes + (is_first ? ALLOCATION_ROUNDING : 0));
}

/* ---- checking ---- */

static int refuse(const struct prescan *scan, const struct level *level, const char *why)
{
    return osr_err_set(scan->err, OSR_MALFORMED, "%s: %s", level->descriptor->name, why);
}

static int refuse_field(const struct prescan *scan, const struct level *level,
                        const ProtobufCFieldDescriptor *field, enum osr_code code, const char *why)
{
    return osr_err_set(scan->err, code, "%s.%s %s", level->descriptor->name, field->name, why);
}

/* The field with that id, or NULL. Fields mostly come in their order. */
static const ProtobufCFieldDescriptor *find_field(struct level *level, uint32_t id)
{
    const ProtobufCMessageDescriptor *descriptor = level->descriptor;
    size_t likely = level->next_field;
    if (likely >= descriptor->n_fields || descriptor->fields[likely].id != id) {
        const ProtobufCFieldDescriptor *field =
            protobuf_c_message_descriptor_get_field(descriptor, id);
        if (field == NULL) {
            return NULL;
        }
        likely = (size_t)(field - descriptor->fields);
    }
    const ProtobufCFieldDescriptor *field = &descriptor->fields[likely];
    level->next_field = osr_field_is_repeated(field) ? likely : likely + 1;
    return field;
}

static uint32_t wire_type_of(const ProtobufCFieldDescriptor *field)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return PROTOBUF_C_WIRE_TYPE_64BIT;
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_FLOAT:
        return PROTOBUF_C_WIRE_TYPE_32BIT;
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE:
        return PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED;
    default:
        return PROTOBUF_C_WIRE_TYPE_VARINT;
    }
}

/* Another field of the same oneof is there already. */
static bool is_excluded(const struct level *level, const ProtobufCFieldDescriptor *field)
{
    for (size_t word = 0; word < OSR_FIELDS_MAX / 64; word++) {
        for (uint64_t rest = level->seen.words[word]; rest != 0; rest &= rest - 1) {
            size_t index = word * 64 + (size_t)__builtin_ctzll(rest);
            const ProtobufCFieldDescriptor *other = &level->descriptor->fields[index];
            if (osr_field_is_in_oneof(other) &&
                other->quantifier_offset == field->quantifier_offset) {
                return true;
            }
        }
    }
    return false;
}

/* Notes that the field is there. A singular one may be so once, and of a oneof only one. */
static int mark_seen(const struct prescan *scan, struct level *level,
                     const ProtobufCFieldDescriptor *field)
{
    size_t index = (size_t)(field - level->descriptor->fields);
    if (osr_field_set_has(&level->seen, index) && !osr_field_is_repeated(field)) {
        return refuse_field(scan, level, field, OSR_MALFORMED, "is given twice");
    }
    if (osr_field_is_in_oneof(field) && is_excluded(level, field)) {
        return refuse_field(scan, level, field, OSR_MALFORMED, "excludes another field");
    }
    osr_field_set_add(&level->seen, index);
    return 0;
}

static int check_string(struct prescan *scan, const struct level *level,
                        const ProtobufCFieldDescriptor *field, struct osr_slice text)
{
    if (!osr_utf8_is_valid(text)) {
        return refuse_field(scan, level, field, OSR_MALFORMED, "is not UTF-8");
    }
    if (text.size > 0 && memchr(text.data, '\0', text.size) != NULL) {
        return refuse_field(scan, level, field, OSR_MALFORMED, "contains NUL");
    }
    return charge_piece(scan, text.size + 1);
}

static int check_bytes(struct prescan *scan, const struct level *level, struct osr_slice bytes)
{
    if (level->descriptor == &osr__json__descriptor) {
        int code = osr_json_check(bytes, OSR_DATA_DEPTH_MAX, scan->err);
        if (code != 0) {
            return code;
        }
    }
    return charge_piece(scan, bytes.size);
}

static int check_message(struct prescan *scan, const struct level *level,
                         const ProtobufCFieldDescriptor *field, struct osr_slice bytes)
{
    if (level->depth == OSR_DECODE_DEPTH_MAX) {
        return refuse_field(scan, level, field, OSR_TOO_LARGE, "is nested too deeply");
    }
    return scan_message(scan, field->descriptor, bytes, level);
}

static int check_value(struct prescan *scan, const struct level *level,
                       const ProtobufCFieldDescriptor *field, const struct member *member)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
        return check_string(scan, level, field, member->bytes);
    case PROTOBUF_C_TYPE_BYTES:
        return check_bytes(scan, level, member->bytes);
    case PROTOBUF_C_TYPE_MESSAGE:
        return check_message(scan, level, field, member->bytes);
    case PROTOBUF_C_TYPE_UINT32:
        if (member->number > UINT32_MAX) { /* protobuf-c would cut it */
            return refuse_field(scan, level, field, OSR_INVALID_ARGUMENT, "is out of range");
        }
        return 0;
    default:
        return 0;
    }
}

/* Numbers of a repeated field may also stand together in one length-prefixed value. */
static bool is_packed(const ProtobufCFieldDescriptor *field, const struct member *member)
{
    return osr_field_is_repeated(field) &&
           member->wire_type == PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED &&
           wire_type_of(field) != PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED;
}

static int check_known(struct prescan *scan, struct level *level,
                       const ProtobufCFieldDescriptor *field, const struct member *member)
{
    bool is_first = !osr_field_set_has(&level->seen, (size_t)(field - level->descriptor->fields));
    int code = mark_seen(scan, level, field);
    if (code != 0) {
        return code;
    }
    size_t value_size = osr_field_value_size(field);
    if (is_packed(field, member)) { /* at most one element for each byte */
        return charge_element(scan, member->bytes.size * value_size, is_first);
    }
    if (member->wire_type != wire_type_of(field)) {
        return refuse_field(scan, level, field, OSR_MALFORMED, "has the wrong wire type");
    }
    if (osr_field_is_repeated(field)) {
        code = charge_element(scan, value_size, is_first);
    }
    return code != 0 ? code : check_value(scan, level, field, member);
}

static int check_unknown(struct prescan *scan, const struct level *level,
                         const struct member *member)
{
    if (level->is_strict) {
        return osr_err_set(scan->err, OSR_MALFORMED, "%s: unknown field %u within an entry",
                           level->descriptor->name, member->id);
    }
    scan->has_unknown = true;
    /* The array's own rounding is paid with each, for simplicity. */
    int code = charge_piece(scan, sizeof(ProtobufCMessageUnknownField));
    return code != 0 ? code : charge_piece(scan, member->size);
}

static int check_whole(struct prescan *scan, const struct level *level)
{
    if (level->descriptor == &osr__json__descriptor && osr_field_set_is_empty(&level->seen)) {
        return refuse(scan, level, "holds no value");
    }
    return charge_noted_members(scan, level->members);
}

static struct level level_begin(const ProtobufCMessageDescriptor *descriptor,
                                struct osr_slice bytes, const struct level *outer)
{
    /* Nothing may be added to NULL, not even 0. */
    const uint8_t *begin = bytes.size > 0 ? bytes.data : (const uint8_t *)"";
    assert(descriptor->n_fields <= OSR_FIELDS_MAX);
    return (struct level){
        .descriptor = descriptor,
        .at = begin,
        .end = begin + bytes.size,
        .depth = outer != NULL ? outer->depth + 1 : 1,
        .is_strict = (outer != NULL && outer->is_strict) || osr_descriptor_is_strict(descriptor),
    };
}

static int scan_message(struct prescan *scan, const ProtobufCMessageDescriptor *descriptor,
                        struct osr_slice bytes, const struct level *outer)
{
    struct level level = level_begin(descriptor, bytes, outer);
    int code = charge_piece(scan, descriptor->sizeof_message);
    while (code == 0 && level.at < level.end) {
        struct member member;
        if (!read_member(&level, &member)) {
            return refuse(scan, &level, "not protobuf");
        }
        level.members++;
        const ProtobufCFieldDescriptor *field = find_field(&level, member.id);
        code = field != NULL ? check_known(scan, &level, field, &member)
                             : check_unknown(scan, &level, &member);
    }
    return code != 0 ? code : check_whole(scan, &level);
}

int osr_protobuf_prescan(const ProtobufCMessageDescriptor *descriptor, struct osr_slice bytes,
                         size_t bytes_max, bool *ret_has_unknown, struct osr_err *err)
{
    struct prescan scan = {.bytes_left = bytes_max, .err = err};
    int code = scan_message(&scan, descriptor, bytes, NULL);
    *ret_has_unknown = scan.has_unknown;
    return code;
}

uint64_t osr_protobuf_find_request_id(struct osr_slice bytes)
{
    enum { REQUEST_ID = 1 }; /* Frame.request_id */
    struct level level = level_begin(&osr__frame__descriptor, bytes, NULL);
    struct member member;
    while (level.at < level.end && read_member(&level, &member)) {
        if (member.id == REQUEST_ID) {
            return member.number;
        }
    }
    return 0;
}

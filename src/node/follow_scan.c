#include "node/follow_scan.h"

#include <stdlib.h>

#include "base/json_scan.h"
#include "base/occurrences.h"
#include "model/document.h"
#include "node/json_array.h"

enum { MARK_FORMAT = 1, MARK_SIZE = 1 + 8 + OSR_SHA256_SIZE };

struct scanner {
    struct osr_follow_scan *scan;
    const struct osr_follow_mark *from;
    struct osr_follow_mark at; /* behind the elements looked at so far */
    struct osr_occurrences occurrences;
    bool differs; /* the beginning is not what was imported */
};

static struct osr_hash chain_digest(const struct osr_hash *chain, const struct osr_hash *digest)
{
    const struct osr_slice pieces[] = {osr_slice(chain->bytes, sizeof chain->bytes),
                                       osr_slice(digest->bytes, sizeof digest->bytes)};
    return osr_sha256(pieces, 2);
}

static bool can_be_document(struct osr_slice data)
{
    Osr__Json json = OSR__JSON__INIT;
    Osr__Document document = OSR__DOCUMENT__INIT;

    json.text.data = (uint8_t *)data.data;
    json.text.len = data.size;
    document.data = &json;
    return osr_document_check(&document, OSR__OPERATION__PUT, false, NULL) == 0;
}

static void add_item(struct osr_follow_scan *scan, const struct osr_follow_item *item)
{
    if (scan->count == scan->capacity) {
        scan->capacity = scan->capacity * 2 + 64;
        scan->items = osr_realloc(scan->items, scan->capacity * sizeof *scan->items);
    }
    scan->items[scan->count++] = *item;
}

/* Goes past an element whose data has just been appended; true where it is new. */
static bool pass_element(struct scanner *scanner, struct osr_slice data,
                         struct osr_follow_item *ret_item)
{
    ret_item->digest = osr_sha256(&data, 1);
    ret_item->occurrence = osr_occurrences_next(&scanner->occurrences, &ret_item->digest);
    scanner->at.chain = chain_digest(&scanner->at.chain, &ret_item->digest);
    scanner->at.count++;
    ret_item->mark = scanner->at;
    return scanner->at.count > scanner->from->count;
}

static int visit_element(void *context, struct osr_slice element, struct osr_err *err)
{
    struct scanner *scanner = context;
    struct osr_follow_scan *scan = scanner->scan;
    size_t begin = scan->data.size;
    struct osr_follow_item item;

    int code = osr_json_compact(&scan->data, element, err);
    if (code != 0) {
        return code;
    }
    struct osr_slice data = osr_slice(scan->data.data + begin, scan->data.size - begin);
    bool is_new = pass_element(scanner, data, &item);
    bool is_usable = is_new && can_be_document(data);
    if (is_new && !is_usable) {
        scan->refused++;
    }
    if (!is_usable) {
        scan->data.size = begin;
    }
    item.end = scan->data.size;
    if (is_usable) {
        add_item(scan, &item);
    }

    scanner->differs =
        scanner->at.count == scanner->from->count &&
        memcmp(&scanner->at.chain, &scanner->from->chain, sizeof scanner->at.chain) != 0;
    scan->has_more = scan->count == OSR_FOLLOW_ITEMS_MAX;
    return scanner->differs || scan->has_more ? OSR_CANCELLED : 0;
}

/* Collects what lies behind `from`; *ret_differs where that is no place in this file. */
static int scan_from(struct osr_slice text, const struct osr_follow_mark *from,
                     struct osr_follow_scan *scan, bool *ret_differs, struct osr_err *err)
{
    struct scanner scanner = {.scan = scan, .from = from};

    int code = osr_json_array_walk(text, visit_element, &scanner, err);
    osr_occurrences_done(&scanner.occurrences);
    scan->end = scanner.at;
    *ret_differs = scanner.differs || (code == 0 && scanner.at.count < from->count);
    return *ret_differs || scan->has_more ? 0 : code;
}

int osr_follow_scan(struct osr_slice text, const struct osr_follow_mark *mark,
                    struct osr_follow_scan *ret_scan, struct osr_err *err)
{
    static const struct osr_follow_mark beginning = {0};
    struct osr_follow_scan scan = {0};
    bool differs = false;

    int code = scan_from(text, mark, &scan, &differs, err);
    if (differs) {
        osr_follow_scan_done(&scan);
        code = scan_from(text, &beginning, &scan, &differs, err);
        scan.restarted = true;
    }
    if (code != 0) {
        osr_follow_scan_done(&scan);
    } else {
        *ret_scan = scan;
    }
    return code;
}

void osr_follow_scan_done(struct osr_follow_scan *scan)
{
    osr_buffer_done(&scan->data);
    free(scan->items);
    *scan = (struct osr_follow_scan){0};
}

struct osr_slice osr_follow_scan_data(const struct osr_follow_scan *scan, size_t index)
{
    size_t begin = index == 0 ? 0 : scan->items[index - 1].end;
    return osr_slice(scan->data.data + begin, scan->items[index].end - begin);
}

void osr_follow_mark_encode(const struct osr_follow_mark *mark, struct osr_buffer *value)
{
    osr_buffer_add_u8(value, MARK_FORMAT);
    osr_buffer_add_u64(value, mark->count);
    osr_buffer_add(value, mark->chain.bytes, sizeof mark->chain.bytes);
}

bool osr_follow_mark_decode(struct osr_follow_mark *mark, struct osr_slice value)
{
    if (value.size != MARK_SIZE || value.data[0] != MARK_FORMAT) {
        return false;
    }
    mark->count = osr_get_u64(value.data + 1);
    memcpy(mark->chain.bytes, value.data + 9, sizeof mark->chain.bytes);
    return true;
}

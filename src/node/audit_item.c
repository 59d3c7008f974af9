#include "node/audit_item.h"

/* One byte more than the log takes: it sees so that there was more, and where a character ends. */
static size_t kept_size(const char *text)
{
    return strnlen(text, OSR_AUDIT_TEXT_BYTES_MAX + 1);
}

static const char *copy_text(char **at, const char *text)
{
    char *copy = *at;
    size_t size = kept_size(text);
    memcpy(copy, text, size);
    copy[size] = '\0';
    *at += size + 1;
    return copy;
}

struct osr_audit_item *osr_audit_item_create(const struct osr_audit_record *record)
{
    size_t size = 0;
#define ADD_SIZE(text) size += kept_size(record->text) + 1;
    OSR_AUDIT_TEXTS(ADD_SIZE)
#undef ADD_SIZE
    struct osr_audit_item *item = osr_alloc(sizeof(*item) + size);
    char *at = (char *)(item + 1);
    item->record = *record;
#define COPY_TEXT(text) item->record.text = copy_text(&at, record->text);
    OSR_AUDIT_TEXTS(COPY_TEXT)
#undef COPY_TEXT
    return item;
}

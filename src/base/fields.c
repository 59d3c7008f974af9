#include "base/fields.h"

#include <stdlib.h>

#include "base/json_scan.h"

static int unescape(struct osr_slice text, char **ret_text, struct osr_err *err)
{
    struct osr_buffer plain = {0};

    osr_buffer_reserve(&plain, text.size + 1); /* once: no copy of a secret is left behind */
    int code = osr_json_unescape(&plain, text, err);
    if (code != OSR_OK) {
        osr_buffer_done(&plain);
        return code;
    }
    osr_buffer_add_u8(&plain, '\0');
    *ret_text = (char *)plain.data;
    return OSR_OK;
}

static int refuse(struct osr_err *err)
{
    return osr_err_set(err, OSR_MALFORMED, "this is no object of texts");
}

/* The member whose name was the last token. */
static int read_member(struct osr_json *json, struct osr_fields *fields, struct osr_err *err)
{
    if (fields->count == OSR_FIELDS_MAX) {
        return refuse(err);
    }
    int code = unescape(json->text, &fields->items[fields->count].name, err);
    if (code != OSR_OK) {
        return code;
    }
    fields->items[fields->count++].value = NULL;
    if (osr_json_next(json, err) != OSR_JSON_STRING) {
        return refuse(err);
    }
    return unescape(json->text, &fields->items[fields->count - 1].value, err);
}

static int read_object(struct osr_slice line, struct osr_fields *fields, struct osr_err *err)
{
    struct osr_json json;
    enum osr_json_token token;
    int code = OSR_OK;

    osr_json_init(&json, line);
    if (osr_json_next(&json, err) != OSR_JSON_OBJECT) {
        return refuse(err);
    }
    while (code == OSR_OK && (token = osr_json_next(&json, err)) == OSR_JSON_NAME) {
        code = read_member(&json, fields, err);
    }
    if (code == OSR_OK &&
        (token != OSR_JSON_OBJECT_END || osr_json_next(&json, err) != OSR_JSON_END)) {
        code = refuse(err);
    }
    return code;
}

int osr_fields_read(struct osr_slice line, struct osr_fields *ret_fields, struct osr_err *err)
{
    struct osr_fields fields = {0};
    int code = read_object(line, &fields, err);

    if (code != OSR_OK) {
        osr_fields_done(&fields);
        return code;
    }
    *ret_fields = fields;
    return OSR_OK;
}

const char *osr_fields_get(const struct osr_fields *fields, const char *name)
{
    for (size_t i = 0; i < fields->count; i++) {
        if (strcmp(fields->items[i].name, name) == 0) {
            return fields->items[i].value;
        }
    }
    return "";
}

void osr_fields_done(struct osr_fields *fields)
{
    for (size_t i = 0; i < fields->count; i++) {
        if (fields->items[i].value != NULL) {
            explicit_bzero(fields->items[i].value, strlen(fields->items[i].value));
        }
        free(fields->items[i].value);
        free(fields->items[i].name);
    }
    *fields = (struct osr_fields){0};
}

bool osr_fields_next_line(struct osr_slice *rest, struct osr_slice *ret_line)
{
    if (rest->size == 0) {
        return false;
    }
    const uint8_t *end = memchr(rest->data, '\n', rest->size);
    size_t size = end != NULL ? (size_t)(end - rest->data) : rest->size;
    *ret_line = osr_slice(rest->data, size);
    *rest = end != NULL ? osr_slice(end + 1, rest->size - size - 1) : osr_slice(NULL, 0);
    return true;
}

void osr_fields_begin(struct osr_buffer *line)
{
    osr_buffer_add_text(line, "{");
}

void osr_fields_add(struct osr_buffer *line, const char *name, const char *value)
{
    if (value == NULL) {
        return;
    }
    osr_buffer_add_format(line, "%s\"%s\":", line->data[line->size - 1] != '{' ? "," : "", name);
    osr_json_quote(line, osr_slice_text(value), false);
}

void osr_fields_end(struct osr_buffer *line)
{
    osr_buffer_add_text(line, "}\n");
}

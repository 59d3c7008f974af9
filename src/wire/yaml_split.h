/* yaml_split.h -- finds where a YAML document of a stream ends, by the lines that YAML lets begin
 * with "---" or "..." for nothing else.
 *
 * Incremental: each byte is looked at once, however small the pieces in which they come; what the
 * document says is checked later. Documents in which there is nothing are passed over, and so are
 * blank lines and comments before one. */
#ifndef OSR_WIRE_YAML_SPLIT_H
#define OSR_WIRE_YAML_SPLIT_H

#include "base/bytes.h"

/* A zeroed one stands before the first document. */
struct osr_yaml_split {
    size_t at;       /* bytes looked at so far */
    bool in_line;    /* not at the begin of one */
    bool in_comment; /* or in a directive: up to the line's end nothing counts */
    bool is_open;    /* "---" was there */
    bool has_directive;
    bool has_content;
    bool is_bare; /* something stands before "---", also of the document found last */
};

/* Give it the same input again with more bytes behind. *ret_passed: so many bytes at the front
 * belong to no document and are dropped by the caller before the next call. *ret_length: those of
 * the document at the front, its markers included; 0 while it has not ended, and where
 * something was passed. On a document found the state is ready for what follows it. */
void osr_yaml_split(struct osr_yaml_split *split, struct osr_slice input, size_t *ret_passed,
                    size_t *ret_length);

/* At the end of all input: whether what is left is a document. */
bool osr_yaml_split_has_rest(const struct osr_yaml_split *split);

#endif

/* search_text.h -- what of a document is searched, and which piece of it is shown. */
#ifndef OSR_ADAPTER_SEARCH_TEXT_H
#define OSR_ADAPTER_SEARCH_TEXT_H

#include "base/bytes.h"
#include "model/message.h"

/* Appends every string value in the document's data, then its kind and tags, a space between
 * any two. The full-text index can forget a document only by the very text that it was
 * given: whoever changes this adds a step to the schema of search.db that empties it. */
void osr_search_text(struct osr_buffer *text, const Osr__Document *document);

/* Bytes of a text that matched. */
struct osr_search_match {
    size_t begin;
    size_t end;
};

enum { OSR_SEARCH_SNIPPET_BYTES = 160 }; /* of the text; marks come on top */

/* Appends the piece of the text with the most matches, each between ** **, on one line. The
 * matches are sorted by where they begin, and may overlap. */
void osr_search_snippet(struct osr_buffer *snippet, struct osr_slice text,
                        const struct osr_search_match *matches, size_t count);

#endif

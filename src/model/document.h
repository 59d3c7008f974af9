/* document.h -- what a document may be, and the ids it may have. */
#ifndef OSR_MODEL_DOCUMENT_H
#define OSR_MODEL_DOCUMENT_H

#include "base/error.h"
#include "base/sha256.h"
#include "model/message.h"

/* Checks every field against proto/osiris/v1/document.proto and model/limits.h; `data` must
 * be one JSON value without white space between its tokens unless `operation` is DELETE,
 * when there must be none. Where `needs_id` is false an empty id passes. */
int osr_document_check(const Osr__Document *document, Osr__Operation operation, bool needs_id,
                       struct osr_err *err);

/* A time-ordered id: 48 bits of time, 80 of `random` (10 bytes), as 26 characters of
 * Crockford's base32 in lower case (a ULID). Writes them and a NUL. */
enum { OSR_MADE_ID_CHARS = 26 };
void osr_document_id_make(char *id, uint64_t time_ms, const uint8_t *random);

/* The id of a document that came from a source, made so that importing it again finds it:
 * 's' and the first 20 bytes, in base32, of SHA-256("osiris source 1\0" | text instance |
 * text source name | digest | u64 occurrence). Writes 33 characters and a NUL. */
enum { OSR_SOURCE_ID_CHARS = 33 };
void osr_document_id_from_source(char *id, const char *instance, const Osr__Source *source);

#endif

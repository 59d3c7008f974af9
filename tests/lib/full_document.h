/* full_document.h -- a document with every field set, and the ids that the vectors are made with.
 * What hashes to what is fixed by tests/unit/entry_vectors.py, which knows nothing of our code. */
#ifndef OSR_TESTS_FULL_DOCUMENT_H
#define OSR_TESTS_FULL_DOCUMENT_H

#include "model/entry.h"

#define VECTOR_ORIGIN "r5vrib3obxtwpwgd2ikwdc2fh36amgmb"
#define VECTOR_OTHER  "5nkur7xahzjagsmnnuv2fdxydsydxlnb"
#define VECTOR_ID     "01hf8000000000000000000001"
#define VECTOR_DATA   "{\"text\":\"El niño aprendió 12345678901234567890\"}"

/* The document, and what it points to. */
struct full_document {
    Osr__Document document;
    Osr__Json data;
    char *tags[2];
    Osr__Version version;
    Osr__Version *supersedes[1];
    Osr__Source source;
    struct osr_hash digest;
};

void full_document_init(struct full_document *full);
/* The feed of VECTOR_ORIGIN. */
struct osr_feed_id vector_feed(void);

struct osr_hash hash_of(struct osr_slice bytes);
void assert_hash(struct osr_hash hash, const char *hex);
ProtobufCBinaryData text_bytes(const char *text);

#endif

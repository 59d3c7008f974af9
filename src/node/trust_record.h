/* trust_record.h -- a credential as a document of the stream "trust": what the CA's instance tells
 * all members. Revocations, members and invitations travel; tokens and users do not.
 *
 * A document of the collection "trust": `id` is the credential's key without its prefix, `data` the
 * JSON of a TrustRecord (proto/osiris/v1/trust.proto). Of an invitation no hash travels: it is good
 * at the CA's instance alone.
 *
 * Threads: any. */
#ifndef OSR_NODE_TRUST_RECORD_H
#define OSR_NODE_TRUST_RECORD_H

#include "model/message.h"
#include "node/credential.h"

enum {
    /* One record, read or written: names, 16 roles and a few numbers; stops one that is larger
     * from filling the memory of who reads it. */
    OSR_TRUST_RECORD_BYTES_MAX = 64 << 10,
};

bool osr_trust_record_travels(enum osr_credential_kind kind);

/* What a document points to. */
struct osr_trust_record {
    Osr__Document document;
    Osr__Json json;
    struct osr_buffer data;
    char *key;
};

/* INVALID_ARGUMENT: a name in it is too long to travel. */
int osr_trust_record_write(struct osr_trust_record *ret_record,
                           const struct osr_credential *credential, struct osr_err *err);
void osr_trust_record_done(struct osr_trust_record *record);

/* The credential lives in the arena, and in the document. UNSUPPORTED_VERSION: a newer version
 * wrote it; CORRUPT: it contradicts itself, or is too large. */
int osr_trust_record_read(const Osr__Document *document, struct osr_arena *arena,
                          struct osr_credential *ret_credential, struct osr_err *err);

#endif

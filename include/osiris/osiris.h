/* osiris.h -- libosiris: reads and writes the knowledge base of an Osiris instance.
 *
 *     struct osiris_client *client;
 *     struct osiris_error error;
 *     char *reply;
 *     if (osiris_open(NULL, &client, &error) == OSIRIS_OK &&
 *         osiris_call(client, "kb_get", "{\"id\":\"x\"}", &reply, &error) == OSIRIS_OK) { ... }
 *
 * Every operation can be called by its name, with JSON or protobuf; the members of requests and
 * replies stand in the contract, osiris/v1/knowledge.proto, instance.proto, trust.proto and
 * consensus.proto. For everyday operations there are functions with structs. The command line is a
 * program on this. See libosiris(3).
 *
 * Results: OSIRIS_OK (0), or the code of what went wrong, which is told in the error (may be NULL).
 * What a function gives back (ret_...) is untouched where it fails.
 *
 * Threads: a client object belongs to one thread at a time; different ones need no locks between
 * them. osiris_interrupt alone may be called from any thread and from a signal handler, while the
 * object exists.
 *
 * Callbacks may start and cancel calls. All else that takes the client is refused within them, with
 * OSIRIS_INVALID_ARGUMENT. What they are given lives until they return.
 *
 * Memory that cannot be had ends the process, as it does in Osiris itself. */
#ifndef OSIRIS_OSIRIS_H
#define OSIRIS_OSIRIS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define OSIRIS_PUBLIC __attribute__((visibility("default")))
#else
#define OSIRIS_PUBLIC
#endif

/* ---- errors ---- */

/* Numbers and names are stable. */
enum osiris_code {
    OSIRIS_OK = 0,
    OSIRIS_INTERNAL = 1,            /* a defect of Osiris */
    OSIRIS_MALFORMED = 2,           /* no JSON, no UTF-8, ... */
    OSIRIS_INVALID_ARGUMENT = 3,    /* well-formed, but a value that may not be; wrong use */
    OSIRIS_TOO_LARGE = 4,           /* over a limit of size, length, count or depth */
    OSIRIS_UNKNOWN_TYPE = 5,        /* no such method */
    OSIRIS_NOT_FOUND = 6,           /* no such document, feed or peer */
    OSIRIS_ALREADY_EXISTS = 7,      /* something new was asked for, and it is there */
    OSIRIS_UNAUTHENTICATED = 8,     /* nobody knows who is asking */
    OSIRIS_PERMISSION_DENIED = 9,   /* known, but may not do this */
    OSIRIS_WRONG_CLUSTER = 10,      /* of another cluster */
    OSIRIS_DUPLICATE_IDENTITY = 11, /* two running instances have one identity */
    OSIRIS_BAD_HASH = 12,           /* an entry does not hash to what is claimed */
    OSIRIS_BAD_SIGNATURE = 13,      /* not signed by its origin */
    OSIRIS_SEQUENCE_GAP = 14,       /* entries are missing */
    OSIRIS_FORKED = 15,             /* two entries at one place of a feed */
    OSIRIS_FLOW_CONTROL = 16,       /* more in flight than may be */
    OSIRIS_BUSY = 17,               /* a queue is full; nothing was done, or not all of an import */
    OSIRIS_TIMEOUT = 18,            /* not in the time given; it may still happen */
    OSIRIS_UNAVAILABLE = 19,        /* nobody there, or going away */
    OSIRIS_DISK_FULL = 20,          /* no room for a write */
    OSIRIS_IO = 21,                 /* the system refused a read or a write */
    OSIRIS_CORRUPT = 22,            /* stored bytes are not what was stored */
    OSIRIS_FOREIGN_FILE = 23,       /* a file that is not Osiris's stands where its own should */
    OSIRIS_IN_USE = 24,             /* taken by another process */
    OSIRIS_CONFIG = 25,             /* a configuration is wrong */
    OSIRIS_UNSUPPORTED_VERSION = 26, /* of a protocol or of a URL's scheme */
    OSIRIS_CANCELLED = 27, /* by the caller: osiris_interrupt, osiris_cancel, a callback */
    OSIRIS_CONFLICT = 28   /* it is in another state than the call expects */
};

/* What a caller can do about it. */
enum osiris_error_class {
    OSIRIS_CLASS_OK = 0,
    OSIRIS_CLASS_RETRY = 1,  /* the same call may succeed later */
    OSIRIS_CLASS_CALLER = 2, /* the call is wrong; repeating it does not help */
    OSIRIS_CLASS_FATAL = 3   /* the instance needs its owner */
};

struct osiris_error {
    enum osiris_code code;
    enum osiris_error_class error_class;
    const char *name;  /* of the code: "NOT_FOUND"; static */
    char message[512]; /* what happened, for people */
    char hint[256];    /* what to do about it; may be empty */
};

/* ---- clients ---- */

struct osiris_client;

/* Says which instance is meant, and talks to nobody yet. `where` is a data folder of this machine,
 * or a URL: unix://PATH, grpcs://HOST:PORT, tls://HOST:PORT, grpc://HOST:PORT, tcp://HOST:PORT;
 * NULL means $OSIRIS_DATA, else the default data folder. grpcs and tls are TLS, and want
 * osiris_set_trust. */
OSIRIS_PUBLIC int osiris_open(const char *where, struct osiris_client **ret_client,
                              struct osiris_error *error);
/* Calls under way end with OSIRIS_CANCELLED. NULL is a no-op. */
OSIRIS_PUBLIC int osiris_close(struct osiris_client *client);

/* Who the caller is, and whom it believes. Texts end with NUL; NULL: not given. Zero it before
 * filling it in. Certificates and keys are PEM. A file that holds a secret has to be the caller's
 * own, and closed to others (mode 600). */
struct osiris_trust {
    /* Whom to believe behind grpcs:// and tls://: at least one of these three, but not both of the
     * first two. */
    const char *authorities_file; /* certificates of CAs, old and new during a rotation */
    /* SHA-256 of the one CA's certificate, 64 hexadecimal digits (with ':' between them or not),
     * where the instance shows it behind its own: what an invitation carries. */
    const char *authority_fingerprint;
    const char *shared_key_file; /* lines "NAME BASE64": TLS without certificates */
    const char *shared_key_name; /* of these lines; NULL: the first */

    /* Who the caller is, besides a shared key. All may be absent. */
    const char *certificate_file; /* with its chain; wants key_file */
    const char *key_file;
    /* A bearer token, as text or in a file, not both. Goes with every call; never in plaintext to
     * another machine. */
    const char *token;
    const char *token_file;
};

/* Reads the files, and copies everything; what is secret is wiped when it is replaced and when the
 * client is closed. Holds for connections that are made from then on; one on which no call is under
 * way is given up. NULL: nobody in particular, who believes nobody. OSIRIS_CONFIG,
 * OSIRIS_INVALID_ARGUMENT, OSIRIS_PERMISSION_DENIED, OSIRIS_NOT_FOUND, ...: all is as it was.
 *
 * An instance's certificate is recognized by the identity in it, so its host may be called
 * anything; `?id=` in the URL asks for one certain instance. A certificate without such an identity
 * (an outside CA's) has to bear the name that stands in the URL. A user's is no instance's. */
OSIRIS_PUBLIC int osiris_set_trust(struct osiris_client *client, const struct osiris_trust *trust,
                                   struct osiris_error *error);

/* Connects, to know at once whether somebody is there: in one attempt, within 5 s or the time-out
 * of calls if that is shorter. Does nothing where a connection stands. Without it the first call
 * connects, as does each that finds the connection lost, with further attempts (see below). */
OSIRIS_PUBLIC int osiris_connect(struct osiris_client *client, struct osiris_error *error);

/* Makes the function that waits, or else the next one, return OSIRIS_CANCELLED: in the midst of
 * connecting too. A call that was waited for ends; those begun with osiris_start go on. */
OSIRIS_PUBLIC void osiris_interrupt(struct osiris_client *client);

/* The following hold for calls that begin after them. */

/* A call ends with OSIRIS_TIMEOUT when there was no reply for so long, since its start or the reply
 * before; connecting and further attempts are included. Over gRPC the instance is told, and gives
 * up a call with one reply by then. 0: never. Default: 60,000, and never for watches. */
OSIRIS_PUBLIC void osiris_set_timeout(struct osiris_client *client, uint32_t timeout_ms);

/* BUSY and UNAVAILABLE are met with further attempts, after 0.1 s, 0.2 s, ... up to 5 s (of each a
 * random part is left out), or after what the instance asks for, up to 30 s, if that is longer;
 * where that is safe: the instance has surely not carried the request out, or doing it twice leaves
 * what once leaves. That holds for
 *   - all that reads, until its first reply; kb_watch only with a from_position;
 *   - kb_put of a document with a source and no id, kb_import of documents that all have a source
 * or an id: what is known is passed over; and not for other writes: a second put to an id or a key
 * would replace what others wrote in between. attempts_max counts the first one: 1 for no others.
 * None begins after time_max_ms. Defaults: 6 and 15,000. */
OSIRIS_PUBLIC void osiris_set_retries(struct osiris_client *client, uint32_t attempts_max,
                                      uint32_t time_max_ms);

/* How many other instances must hold a write on their disks before osiris_put, osiris_update and
 * osiris_delete return, at most 64; where they are too slow, within the time-out, that is
 * OSIRIS_TIMEOUT, and the write is done. Default: 0. */
OSIRIS_PUBLIC void osiris_set_acks(struct osiris_client *client, uint32_t acks);

OSIRIS_PUBLIC const char *osiris_version(void);

/* ---- calls by name, in JSON ----
 *
 * One reply: kb_put kb_update kb_delete kb_import kb_get kb_digest status feeds feeds_followers
 * feeds_resend login authenticate join renew invite issue token_create user_put revoke credentials
 * access_check renew_own reload kv_get kv_put kv_del cluster_status cluster_change
 * cluster_transfer cluster_set cluster_settings access_set access_show. Many: kb_list kb_search
 * kb_history kb_watch rebuild audit written. A request is JSON text that ends with NUL; NULL is
 * "{}". What carries a secret goes to another machine over TLS alone. */

/* *ret_reply (which may be NULL) is to be freed with osiris_free. */
OSIRIS_PUBLIC int osiris_call(struct osiris_client *client, const char *method, const char *request,
                              char **ret_reply, struct osiris_error *error);
OSIRIS_PUBLIC void osiris_free(void *memory);

/* One reply: `size` bytes of JSON and a NUL, or (osiris_start_protobuf) an encoded message.
 * Non-zero ends the call. */
typedef int osiris_on_reply(void *context, const char *reply, size_t size);

/* Tells every reply, then returns. What on_reply returns other than zero is returned as it is, and
 * the error is untouched; negative numbers are no codes. */
OSIRIS_PUBLIC int osiris_stream(struct osiris_client *client, const char *method,
                                const char *request, osiris_on_reply *on_reply, void *context,
                                struct osiris_error *error);

/* ---- several calls at once ---- */

enum { OSIRIS_CALLS_MAX = 1000 }; /* under way on one client: more are OSIRIS_BUSY */

/* Exactly once for each call that osiris_start began; error is NULL where all went well. */
typedef void osiris_on_end(void *context, const struct osiris_error *error);

/* Begins a call and returns without waiting. Replies and the end are told by osiris_run, and by
 * each other function that waits. ret_call (may be NULL): its number, for osiris_cancel. */
OSIRIS_PUBLIC int osiris_start(struct osiris_client *client, const char *method,
                               const char *request, osiris_on_reply *on_reply,
                               osiris_on_end *on_end, void *context, uint64_t *ret_call,
                               struct osiris_error *error);
/* The same with messages of the contract, encoded as protobuf, in place of JSON: what generated
 * code reads and writes. Nothing is converted on the way, so it is also the quickest. The message
 * is copied. */
OSIRIS_PUBLIC int osiris_start_protobuf(struct osiris_client *client, const char *method,
                                        const void *message, size_t size, osiris_on_reply *on_reply,
                                        osiris_on_end *on_end, void *context, uint64_t *ret_call,
                                        struct osiris_error *error);
/* Its on_end is called with OSIRIS_CANCELLED, before this returns unless its own on_reply is what
 * called. OSIRIS_NOT_FOUND where it has ended already. */
OSIRIS_PUBLIC int osiris_cancel(struct osiris_client *client, uint64_t call,
                                struct osiris_error *error);
/* Waits until at most `calls` are under way; OSIRIS_TIMEOUT after timeout_ms (0: never). Neither
 * that nor an interrupt ends a call. What becomes of single calls is told to them alone. */
OSIRIS_PUBLIC int osiris_run(struct osiris_client *client, size_t calls, uint32_t timeout_ms,
                             struct osiris_error *error);
/* The same until fd can be read, for programs that wait for input of their own. */
OSIRIS_PUBLIC int osiris_run_until_readable(struct osiris_client *client, int fd,
                                            uint32_t timeout_ms, struct osiris_error *error);
OSIRIS_PUBLIC size_t osiris_calls(const struct osiris_client *client); /* under way */

/* ---- documents ---- */

/* Texts are UTF-8 and end with NUL; in requests NULL is empty. Zero it before filling it in. */
struct osiris_document {
    const char *id;         /* at most 128 bytes; empty in a put: one is made */
    const char *collection; /* at most 128 bytes */
    const char *kind;       /* "note", "fact", ...; at most 64 bytes */
    const char *data;       /* any JSON value, as written; at most 1 MiB */
    const char *const *tags;
    size_t tag_count; /* at most 32, of 64 bytes each */
    const char *author;
    uint64_t time_ms;    /* when its author made it, since 1970; 0: when it was written */
    uint64_t expires_ms; /* hidden from then on; 0: never */
    /* Where it comes from. Equal data from the same source, as its nth occurrence (0 is 1), is
     * written once, however often it is put without an id. */
    const char *source;
    uint64_t occurrence;
    /* Of documents that are read: */
    uint64_t written_ms; /* when this version was written */
    const char *origin;  /* id of the instance that wrote it */
};

struct osiris_written {
    char id[129];
    int existed;       /* 1: known from its source; nothing was written */
    uint64_t sequence; /* in the feed of the instance that wrote it */
};

/* ret_written may be NULL in all three. */
OSIRIS_PUBLIC int osiris_put(struct osiris_client *client, const struct osiris_document *document,
                             struct osiris_written *ret_written, struct osiris_error *error);
/* A new version in place of the one with this id: all of it, not only what is set. */
OSIRIS_PUBLIC int osiris_update(struct osiris_client *client,
                                const struct osiris_document *document,
                                struct osiris_written *ret_written, struct osiris_error *error);
OSIRIS_PUBLIC int osiris_delete(struct osiris_client *client, const char *id,
                                struct osiris_written *ret_written, struct osiris_error *error);

OSIRIS_PUBLIC int osiris_get(struct osiris_client *client, const char *id,
                             struct osiris_document **ret_document, struct osiris_error *error);
OSIRIS_PUBLIC void osiris_document_free(struct osiris_document *document); /* NULL is a no-op */

/* Of each of these callbacks non-zero ends the call and is returned, as with osiris_stream. */

typedef int osiris_on_document(void *context, const struct osiris_document *document);
/* In the order of ids, behind after_id (NULL: from the first), of one collection (NULL: all), at
 * most `limit` (0: all). */
OSIRIS_PUBLIC int osiris_list(struct osiris_client *client, const char *collection,
                              const char *after_id, uint64_t limit, osiris_on_document *on_document,
                              void *context, struct osiris_error *error);

struct osiris_hit {
    const struct osiris_document *document;
    double rank;         /* higher is better */
    const char *snippet; /* the best place, matches between ** and ** */
};
typedef int osiris_on_hit(void *context, const struct osiris_hit *hit);
/* Words must all occur; "a phrase"; word* for a beginning. The best first, at most `limit` (0: 20).
 */
OSIRIS_PUBLIC int osiris_search(struct osiris_client *client, const char *query, uint32_t limit,
                                osiris_on_hit *on_hit, void *context, struct osiris_error *error);

struct osiris_change {
    uint64_t position; /* to go on behind it: watch from position + 1 */
    int is_deleted;    /* of the document only the id is there */
    const struct osiris_document *document;
    const char *origin; /* id of the instance that wrote it */
    uint64_t sequence;  /* in that instance's feed */
};
typedef int osiris_on_change(void *context, const struct osiris_change *change);
/* All changes from a position on (0: only new ones; 1: from the first), of one collection (NULL:
 * all), as they come, until on_change says stop, an interrupt, or an error. */
OSIRIS_PUBLIC int osiris_watch(struct osiris_client *client, uint64_t from_position,
                               const char *collection, osiris_on_change *on_change, void *context,
                               struct osiris_error *error);

#ifdef __cplusplus
}
#endif

#endif

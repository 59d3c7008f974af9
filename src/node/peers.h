/* peers.h -- the instances that the config says to dial, and members of the ledger: keeps a link
 * for feeds to each, to members also one for the ledger, and remembers who was found there.
 *
 * Happy path: dial -> link up -> HELLO_PROOF: the id found at a URL for the first time is
 * pinned to it (fact "pin:SCHEME://HOST:PORT").
 *
 * Failures: dialled again after a pause that doubles up to OSR_RETRY_MS_MAX, with full
 * jitter (so that many who lost one peer do not come back at once), and starts small again after
 * a link that held. Another id at a pinned URL is refused; `?id=ID` in the URL is its owner's
 * word that this id is right, and pins it anew.
 *
 * Where two instances dial each other, the core lets one link of each purpose stay; the side that
 * lost its own does not dial again while the other's is there. Two members that hear of each other
 * do not dial at once: the smaller id goes first, whose link would stay.
 *
 * A member is known by its id, and by addresses that it has told: they are tried in turn, and
 * nothing is pinned. It is dialled only while no other link to it for that purpose is there,
 * whoever dialled that.
 *
 * Threads: the loop's only. */
#ifndef OSR_NODE_PEERS_H
#define OSR_NODE_PEERS_H

#include "node/journal.h"
#include "node/session.h"

enum {
    OSR_RETRY_MS_MIN = 100,
    OSR_RETRY_MS_MAX = 10 * 1000,
    /* How often to look whether the link that the other side dialled is still there. */
    OSR_LINKED_LOOK_MS = 1000,
    /* A link that was up for so long was a good one. */
    OSR_LINK_STEADY_MS = 5 * 1000,
    OSR_PEER_MEMBERS_MAX = 16,   /* beside OSR_PEERS_MAX of the config */
    OSR_PEER_ADDRESSES_MAX = 12, /* of one member */
};

struct osr_peers;

struct osr_peers_options {
    uv_loop_t *loop;
    struct osr_sessions *sessions;
    struct osr_journal *journal;
    const char *instance; /* own id; outlives the peers */
    /* What to dial a URL with now, as for osr_transport_dial. */
    struct osr_tls_context *(*security_of)(void *context, const struct osr_url *url);
    void *context;
    const struct osr_trace *trace;
};

struct osr_peers *osr_peers_create(const struct osr_peers_options *options);
/* Lets nobody be dialled any more. When the sessions are gone: osr_peers_destroy. */
void osr_peers_stop(struct osr_peers *peers);
/* Run the loop once more. NULL is a no-op. */
void osr_peers_destroy(struct osr_peers *peers);

/* Dials, now and whenever the link is lost. The URL is copied. */
int osr_peers_add(struct osr_peers *peers, const struct osr_url *url, struct osr_err *err);

/* Dials this instance for feeds and for the ledger, where it is not linked for that, now and
 * whenever a link is lost: at these addresses, 1 to OSR_PEER_ADDRESSES_MAX, which are copied. They
 * replace those it was added with before. False where there are OSR_PEER_MEMBERS_MAX already. */
bool osr_peers_add_member(struct osr_peers *peers, const char *instance,
                          const struct osr_url *addresses, size_t count);
/* Does not dial it any more; the links that there are stay. No matter if it was added. */
void osr_peers_remove_member(struct osr_peers *peers, const char *instance);

/* Of a dialled session: HELLO_PROOF says who it is. Not 0: it must be refused with err. */
int osr_peers_identified(struct osr_peers *peers, struct osr_session *session, const char *instance,
                         struct osr_err *err);
/* Of a dialled session: why it ends, before it does. */
void osr_peers_note_error(struct osr_peers *peers, struct osr_session *session,
                          const struct osr_err *err);
/* Of a dialled session: it is gone. */
void osr_peers_closed(struct osr_peers *peers, struct osr_session *session,
                      const struct osr_err *err);

/* Each peer of the config has been reached or found out of reach since the start. */
bool osr_peers_are_tried(const struct osr_peers *peers);
/* Those of the config, and members that have no other link for feeds. Links for the ledger are not
 * listed: node/ledger_links.h tells which members are reached. */
size_t osr_peers_count(const struct osr_peers *peers);
/* Texts point into the peer and live until the loop goes on. */
void osr_peers_status(const struct osr_peers *peers, size_t index, Osr__PeerStatus *ret_status);

#endif

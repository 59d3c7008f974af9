#include "node/peers.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "adapter/keys.h"
#include "base/random.h"
#include "model/limits.h"

enum { MEMBER_LINKS_MAX = 2 * OSR_PEER_MEMBERS_MAX }; /* one for each purpose */

struct peer {
    struct osr_peers *peers;
    struct osr_url url; /* dialled now, or next */
    Osr__LinkPurpose purpose;
    enum osr_codec codec;
    char *pin_key;                    /* NULL: a member, which is known by its id */
    char pin[OSR_INSTANCE_CHARS + 1]; /* who is expected; empty: nobody was seen there yet */
    struct osr_url *addresses;        /* of a member */
    size_t address_count;
    size_t next_address;
    bool is_removed;             /* a member that goes with its link */
    uv_timer_t timer;            /* of the next attempt */
    struct osr_session *session; /* NULL while waiting */
    bool is_up;                  /* HELLO_PROOF was right, and the pin */
    bool is_tried;
    uint32_t failures;                    /* since a link that held */
    uint64_t up_ms;                       /* since when it is up */
    char last_error[OSR_ERR_MESSAGE_MAX]; /* without the address, which stands beside it */
    char hint[OSR_ERR_HINT_MAX];
    bool has_said_why; /* in this attempt: that goes before how the connection ended */
};

struct osr_peers {
    struct osr_peers_options options;
    struct osr_random random;                             /* jitter */
    struct peer *items[OSR_PEERS_MAX + MEMBER_LINKS_MAX]; /* in the order of the config */
    size_t count;
    size_t member_count; /* of these, not of the config */
    bool is_stopped;
};

static bool is_member(const struct peer *peer)
{
    return peer->pin_key == NULL;
}

/* Pins */

static void load_pin(void *context, const char *key, struct osr_slice value)
{
    struct peer *peer = context;
    if (strcmp(key, peer->pin_key) == 0 && value.size < sizeof(peer->pin)) {
        snprintf(peer->pin, sizeof(peer->pin), "%.*s", (int)value.size, (const char *)value.data);
    }
}

static void pin(struct peer *peer, const char *instance)
{
    if (strcmp(peer->pin, instance) == 0) {
        return;
    }
    snprintf(peer->pin, sizeof(peer->pin), "%s", instance);
    /* A full disk loses the pin, not the link: it is written at the next sight. */
    osr_journal_fact(peer->peers->options.journal, peer->pin_key, osr_slice_text(instance), NULL,
                     NULL);
    osr_trace(peer->peers->options.trace, OSR_LEVEL_INFO, "%s: is pinned to %s", peer->url.text,
              instance);
}

static int check_pin(const struct peer *peer, const char *instance, struct osr_err *err)
{
    const char *promised = osr_url_parameter(&peer->url, "id");
    const char *expected = promised != NULL ? promised : peer->pin;
    if (expected[0] == '\0' || strcmp(expected, instance) == 0) {
        return 0;
    }
    osr_err_set(err, OSR_UNAUTHENTICATED, "%s is %s now, and %s was expected there", peer->url.text,
                instance, expected);
    if (!is_member(peer)) {
        osr_err_hint(err, "if that is right, dial it as %s%cid=%s", peer->url.text,
                     peer->url.parameter_count > 0 ? '&' : '?', instance);
    }
    return OSR_UNAUTHENTICATED;
}

/* Dialling */

static void on_timer(uv_timer_t *timer);

static const char *without_prefix(const char *message, const char *place)
{
    size_t size = strlen(place);
    bool has_prefix = strncmp(message, place, size) == 0 && strncmp(message + size, ": ", 2) == 0;
    return has_prefix ? message + size + 2 : message;
}

/* Carriers begin their messages with where it happened, some without the URL's parameters. */
static void keep_error(struct peer *peer, const struct osr_err *err)
{
    char *place = osr_url_place(&peer->url);
    const char *message = without_prefix(err->message, peer->url.text);
    snprintf(peer->last_error, sizeof(peer->last_error), "%s", without_prefix(message, place));
    snprintf(peer->hint, sizeof(peer->hint), "%s", err->hint);
    free(place);
}

static void dial_later(struct peer *peer)
{
    struct osr_peers *peers = peer->peers;
    if (peers->is_stopped) {
        return;
    }
    uint64_t pause_ms = OSR_RETRY_MS_MAX;
    if (peer->failures < 7) { /* 2^7 * 100 ms is over the maximum */
        pause_ms = (uint64_t)OSR_RETRY_MS_MIN << peer->failures;
    }
    peer->failures++;
    uv_timer_start(&peer->timer, on_timer, osr_random_below(&peers->random, pause_ms) + 1, 0);
}

static void set_url(struct peer *peer, const struct osr_url *url)
{
    const char *codec = osr_url_parameter(url, "codec");
    peer->url = *url;
    peer->codec = OSR_CODEC_PROTOBUF;
    (void)(codec != NULL && osr_codec_parse(codec, &peer->codec)); /* base/url knows good ones */
}

static void choose_address(struct peer *peer)
{
    if (peer->address_count > 0) {
        set_url(peer, &peer->addresses[peer->next_address++ % peer->address_count]);
    }
}

static void dial(struct peer *peer)
{
    const struct osr_peers_options *options = &peer->peers->options;
    choose_address(peer);
    struct osr_tls_context *security = options->security_of(options->context, &peer->url);
    struct osr_err err;
    peer->has_said_why = false;
    if (security == NULL && osr_url_is_secure(&peer->url)) { /* of a member alone */
        osr_err_set(&err, OSR_CONFIG, "this instance has no TLS");
        osr_err_hint(&err, "listen at tls://, as the other members of the ledger do");
    } else if (osr_sessions_dial(options->sessions, &peer->url, peer->purpose, security,
                                 peer->codec, peer, &peer->session, &err) == 0) {
        return;
    }
    keep_error(peer, &err);
    peer->is_tried = true;
    dial_later(peer);
}

/* The instance that was seen there has come to us. */
static bool is_linked_otherwise(const struct peer *peer)
{
    const struct osr_sessions *sessions = peer->peers->options.sessions;
    for (size_t i = 0; peer->pin[0] != '\0' && i < osr_sessions_link_count(sessions); i++) {
        const struct osr_session *session = osr_sessions_link(sessions, i);
        if (session != peer->session && osr_session_is_open(session) &&
            osr_session_purpose(session) == peer->purpose &&
            strcmp(osr_session_instance(session), peer->pin) == 0) {
            return true;
        }
    }
    return false;
}

static void on_timer(uv_timer_t *timer)
{
    struct peer *peer = timer->data;
    if (is_linked_otherwise(peer)) {
        uv_timer_start(timer, on_timer, OSR_LINKED_LOOK_MS, 0);
    } else {
        dial(peer);
    }
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct peer *peer = handle->data;
    free(peer->addresses);
    free(peer->pin_key);
    free(peer);
}

static void forget(struct peer *peer)
{
    struct osr_peers *peers = peer->peers;
    size_t place = 0;
    while (peers->items[place] != peer) {
        place++;
    }
    memmove(&peers->items[place], &peers->items[place + 1],
            (peers->count - place - 1) * sizeof(struct peer *));
    peers->count--;
    peers->member_count--;
    uv_close((uv_handle_t *)&peer->timer, on_timer_closed);
}

int osr_peers_identified(struct osr_peers *peers, struct osr_session *session, const char *instance,
                         struct osr_err *err)
{
    struct peer *peer = osr_session_user(session);
    assert(peer != NULL && peer->session == session);
    peer->is_tried = true;
    int code = check_pin(peer, instance, err);
    if (code != 0) {
        return code;
    }
    pin(peer, instance);
    peer->is_up = true;
    peer->up_ms = uv_now(peers->options.loop);
    peer->last_error[0] = '\0';
    peer->has_said_why = false;
    return 0;
}

void osr_peers_note_error(struct osr_peers *peers, struct osr_session *session,
                          const struct osr_err *err)
{
    (void)peers;
    struct peer *peer = osr_session_user(session);
    keep_error(peer, err);
    peer->has_said_why = true;
}

void osr_peers_closed(struct osr_peers *peers, struct osr_session *session,
                      const struct osr_err *err)
{
    struct peer *peer = osr_session_user(session);
    if (peer->is_up && uv_now(peers->options.loop) - peer->up_ms >= OSR_LINK_STEADY_MS) {
        peer->failures = 0;
    }
    if (!peer->has_said_why) {
        const struct osr_err closed = {.message = "it closed the connection"};
        keep_error(peer, err->code == OSR_OK ? &closed : err);
    }
    /* The first failure in a row is news, the others are not. */
    osr_trace(peers->options.trace, peer->failures == 0 ? OSR_LEVEL_WARNING : OSR_LEVEL_TRACE,
              "%s: no link: %s%s%s", peer->url.text, peer->last_error,
              peer->hint[0] != '\0' ? "; " : "", peer->hint);
    peer->session = NULL;
    peer->is_up = false;
    peer->is_tried = true;
    if (peer->is_removed) {
        forget(peer);
    } else {
        dial_later(peer);
    }
}

/* All of them */

struct osr_peers *osr_peers_create(const struct osr_peers_options *options)
{
    struct osr_peers *peers = osr_alloc(sizeof(*peers));
    peers->options = *options;
    uint64_t seed;
    osr_secret_random(&seed, sizeof(seed));
    osr_random_init(&peers->random, seed);
    return peers;
}

/* NULL where it fails. */
static struct peer *create_peer(struct osr_peers *peers, struct osr_err *err)
{
    struct peer *peer = osr_alloc(sizeof(*peer));
    int status = uv_timer_init(peers->options.loop, &peer->timer);
    if (status != 0) {
        free(peer);
        osr_err_errno(err, OSR_INTERNAL, -status, "cannot make a timer");
        return NULL;
    }
    peer->timer.data = peer;
    peer->peers = peers;
    peers->items[peers->count++] = peer;
    return peer;
}

/* Many are met at one broker, each at an address of its own. */
static char *make_pin_key(const struct osr_url *url)
{
    return osr_format(osr_url_is_broker(url) ? "pin:%s://%s:%u/%s" : "pin:%s://%s:%u", url->scheme,
                      url->host, url->port, url->address);
}

int osr_peers_add(struct osr_peers *peers, const struct osr_url *url, struct osr_err *err)
{
    if (peers->count - peers->member_count == OSR_PEERS_MAX) {
        return (int)osr_err_set(err, OSR_CONFIG, "no more than %d peers can be dialled",
                                OSR_PEERS_MAX);
    }
    struct peer *peer = create_peer(peers, err);
    if (peer == NULL) {
        return (int)err->code;
    }
    set_url(peer, url);
    peer->pin_key = make_pin_key(url);
    osr_journal_facts(peers->options.journal, peer->pin_key, load_pin, peer);
    dial(peer);
    return 0;
}

static struct peer *find_member(const struct osr_peers *peers, const char *instance,
                                Osr__LinkPurpose purpose)
{
    for (size_t i = 0; i < peers->count; i++) {
        struct peer *peer = peers->items[i];
        if (is_member(peer) && peer->purpose == purpose && strcmp(peer->pin, instance) == 0) {
            return peer;
        }
    }
    return NULL;
}

/* Not at once: a peer of the config may be the same instance, and is dialled first. Later where the
 * member has the smaller id, and so is likely to dial this one. */
static uint64_t first_pause_ms(struct osr_peers *peers, const char *instance)
{
    bool goes_first = strcmp(peers->options.instance, instance) < 0;
    return OSR_RETRY_MS_MIN + osr_random_below(&peers->random, OSR_RETRY_MS_MIN) +
           (goes_first ? 0 : OSR_LINKED_LOOK_MS);
}

static struct peer *create_member(struct osr_peers *peers, const char *instance,
                                  Osr__LinkPurpose purpose)
{
    bool is_full = peers->member_count == MEMBER_LINKS_MAX;
    struct peer *peer = is_full ? NULL : create_peer(peers, NULL);
    if (peer == NULL) {
        return NULL;
    }
    peers->member_count++;
    peer->purpose = purpose;
    snprintf(peer->pin, sizeof(peer->pin), "%s", instance);
    uv_timer_start(&peer->timer, on_timer, first_pause_ms(peers, instance), 0);
    return peer;
}

static bool add_member_for(struct osr_peers *peers, const char *instance, Osr__LinkPurpose purpose,
                           const struct osr_url *addresses, size_t count)
{
    struct peer *peer = find_member(peers, instance, purpose);
    if (peer == NULL && (peer = create_member(peers, instance, purpose)) == NULL) {
        return false;
    }
    peer->is_removed = false;
    peer->addresses = osr_realloc(peer->addresses, count * sizeof(*addresses));
    memcpy(peer->addresses, addresses, count * sizeof(*addresses));
    peer->address_count = count;
    if (peer->session == NULL) {
        set_url(peer, &addresses[peer->next_address % count]); /* for status */
    }
    return true;
}

bool osr_peers_add_member(struct osr_peers *peers, const char *instance,
                          const struct osr_url *addresses, size_t count)
{
    assert(count > 0 && count <= OSR_PEER_ADDRESSES_MAX);
    return !peers->is_stopped &&
           add_member_for(peers, instance, OSR__LINK_PURPOSE__FOR_FEEDS, addresses, count) &&
           add_member_for(peers, instance, OSR__LINK_PURPOSE__FOR_LEDGER, addresses, count);
}

static void remove_member_for(struct osr_peers *peers, const char *instance,
                              Osr__LinkPurpose purpose)
{
    struct peer *peer = find_member(peers, instance, purpose);
    if (peer == NULL) {
        return;
    }
    if (peer->session != NULL) {
        peer->is_removed = true;
    } else {
        forget(peer);
    }
}

void osr_peers_remove_member(struct osr_peers *peers, const char *instance)
{
    remove_member_for(peers, instance, OSR__LINK_PURPOSE__FOR_FEEDS);
    remove_member_for(peers, instance, OSR__LINK_PURPOSE__FOR_LEDGER);
}

void osr_peers_stop(struct osr_peers *peers)
{
    peers->is_stopped = true;
    for (size_t i = 0; i < peers->count; i++) {
        uv_timer_stop(&peers->items[i]->timer);
    }
}

void osr_peers_destroy(struct osr_peers *peers)
{
    if (peers == NULL) {
        return;
    }
    for (size_t i = 0; i < peers->count; i++) {
        assert(peers->items[i]->session == NULL);
        uv_close((uv_handle_t *)&peers->items[i]->timer, on_timer_closed);
    }
    free(peers);
}

bool osr_peers_are_tried(const struct osr_peers *peers)
{
    for (size_t i = 0; i < peers->count; i++) {
        if (!is_member(peers->items[i]) && !peers->items[i]->is_tried) {
            return false;
        }
    }
    return true;
}

/* A member that has another link is listed with that. */
static bool is_listed(const struct peer *peer)
{
    return peer->purpose == OSR__LINK_PURPOSE__FOR_FEEDS &&
           (!is_member(peer) || peer->session != NULL || !is_linked_otherwise(peer));
}

size_t osr_peers_count(const struct osr_peers *peers)
{
    size_t count = 0;
    for (size_t i = 0; i < peers->count; i++) {
        count += is_listed(peers->items[i]);
    }
    return count;
}

static struct peer *find_listed(const struct osr_peers *peers, size_t index)
{
    size_t i = 0;
    while (!is_listed(peers->items[i]) || index-- > 0) {
        i++;
        assert(i < peers->count);
    }
    return peers->items[i];
}

static const char *state_name(const struct peer *peer)
{
    if (peer->is_up || is_linked_otherwise(peer)) {
        return "up";
    }
    if (peer->session == NULL) {
        return "waiting";
    }
    return osr_session_is_open(peer->session) ? "greeting" : "connecting";
}

void osr_peers_status(const struct osr_peers *peers, size_t index, Osr__PeerStatus *ret_status)
{
    struct peer *peer = find_listed(peers, index);
    osr__peer_status__init(ret_status);
    ret_status->url = peer->url.text;
    ret_status->dialled = true;
    ret_status->state = (char *)state_name(peer);
    ret_status->last_error = peer->last_error;
    ret_status->instance = peer->pin;
    if (peer->session != NULL) {
        ret_status->name = (char *)osr_session_peer_name(peer->session);
    } else if (!peers->is_stopped) {
        ret_status->retry_ms = uv_timer_get_due_in(&peer->timer);
    }
}

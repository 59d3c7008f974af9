#include "node/security_contexts.h"

#include <stdio.h>
#include <stdlib.h>

#include "adapter/transport.h"
#include "node/listener_methods.h"

#define PROOF(name) (1u << OSR_TLS_PROOF_##name)

/* One side of one URL. */
struct door {
    const char *url;
    struct osr_tls_context *context;
};

/* The ways in which members are dialled. */
enum member_kind { MEMBER_FRAMES, MEMBER_CALLS, MEMBER_DATAGRAMS, MEMBER_KIND_COUNT };

struct osr_security_contexts {
    struct door *listeners;
    size_t listener_count;
    struct door *diallers;
    size_t dialler_count;
    struct osr_tls_context *members[MEMBER_KIND_COUNT]; /* NULL where nothing wants TLS */
};

/* What all doors are made of. */
struct material {
    const struct osr_security_source *source;
    struct osr_slice certificate_pem;
    struct osr_buffer self_signed;
    struct osr_tls_shared_key keys[OSR_TLS_KEYS_MAX];
};

/* -- which proofs a URL lets in -- */

/* Whoever needs a token or a password to be somebody has shown nothing by TLS. */
static unsigned proofs_of_methods(unsigned methods)
{
    static const unsigned proofs_of[OSR_METHOD_COUNT] = {
        [OSR_METHOD_CERTIFICATE] = PROOF(CERTIFICATE),
        [OSR_METHOD_KEY] = PROOF(KEY),
        [OSR_METHOD_TOKEN] = PROOF(NONE),
        [OSR_METHOD_PASSWORD] = PROOF(NONE),
        [OSR_METHOD_PIN] = PROOF(PINNED),
    };
    unsigned proofs = 0;

    for (size_t i = 0; i < OSR_METHOD_COUNT; i++) {
        proofs |= (methods >> i & 1) != 0 ? proofs_of[i] : 0;
    }
    return proofs;
}

/* By default no certificate is asked for where no CA is believed. */
static unsigned proofs_of_listener(const struct osr_trust *trust, const struct osr_url *url)
{
    unsigned proofs = proofs_of_methods(osr_methods_of(url));
    bool is_default = osr_url_parameter(url, "auth") == NULL;

    if (is_default && !osr_trust_has(trust, OSR_TRUST_AUTHORITIES)) {
        proofs &= ~PROOF(CERTIFICATE);
    }
    return proofs;
}

static unsigned proofs_of_peer(const struct osr_security_source *source, const struct osr_url *url)
{
    const struct osr_trust *trust = source->trust;
    unsigned proofs = 0;
    if (osr_url_parameter(url, "auth") != NULL) {
        /* A server always shows something. */
        return proofs_of_methods(osr_methods_of(url)) & ~PROOF(NONE);
    }
    if (osr_trust_has(trust, OSR_TRUST_AUTHORITIES)) {
        proofs = PROOF(CERTIFICATE);
    } else if (trust->shared_keys.count > 0) {
        proofs = PROOF(KEY);
    }
    if (source->has_approved || osr_url_parameter(url, "id") != NULL) {
        proofs |= PROOF(PINNED);
    }
    return proofs;
}

/* HELLO_PROOF has to show the one instance that is expected; without a certificate that is
 * believed it must have been approved besides (node/access.h). */
static unsigned proofs_of_member(const struct osr_security_source *source,
                                 const struct osr_url *url)
{
    return proofs_of_peer(source, url) | PROOF(PINNED);
}

static int refuse(const char *side, const struct osr_url *url, const char *what, const char *hint,
                  struct osr_err *err)
{
    osr_err_set(err, OSR_CONFIG, "%s: %s: %s", side, url->text, what);
    osr_err_hint(err, "%s", hint);
    return OSR_CONFIG;
}

static int check_proofs(const struct osr_trust *trust, const char *side, const struct osr_url *url,
                        unsigned proofs, struct osr_err *err)
{
    if (proofs == 0) {
        return refuse(side, url, "nobody could be believed there",
                      "name the instance (?id=ID), or join its cluster: `osiris join`", err);
    }
    if ((proofs & PROOF(CERTIFICATE)) != 0 && !osr_trust_has(trust, OSR_TRUST_AUTHORITIES)) {
        return refuse(
            side, url, "auth=certificate, and no CA is believed",
            "`osiris init` makes a CA, `osiris join` takes a cluster's; trust/authorities.pem "
            "may hold others",
            err);
    }
    if ((proofs & PROOF(KEY)) != 0 && trust->shared_keys.count == 0) {
        return refuse(side, url, "auth=key, and there is no shared key",
                      "`osiris key add` makes or takes one", err);
    }
    return 0;
}

/* -- one context -- */

static int make_context(const struct material *material, const struct osr_url *url, bool is_server,
                        unsigned proofs, struct osr_tls_context **ret_context, struct osr_err *err)
{
    /* A server takes both, and a client that names none: frames and gRPC come by one port. */
    static const char *const both[] = {"osiris/1", "h2", NULL};
    static const char *const frames[] = {"osiris/1", NULL};
    static const char *const calls[] = {"h2", NULL};
    const struct osr_trust *trust = material->source->trust;
    bool takes_keys = (proofs & PROOF(KEY)) != 0;
    const struct osr_tls_options options = {
        .is_server = is_server,
        .is_datagram = osr_transport_promises(url->scheme)->carrier == OSR_CARRIER_DATAGRAMS,
        .certificate_pem = material->certificate_pem,
        .key_pem = osr_trust_text(trust, OSR_TRUST_TLS_KEY),
        .authorities_pem = osr_trust_text(trust, OSR_TRUST_AUTHORITIES),
        .shared_keys = takes_keys ? material->keys : NULL,
        .shared_key_count = takes_keys ? trust->shared_keys.count : 0,
        .proofs = proofs,
        .protocols = is_server             ? both
                     : osr_url_is_rpc(url) ? calls
                                           : frames,
        /* Behind a broker stands whoever its certificate says, and not the broker; members have
         * no host here. */
        .server_name =
            is_server || osr_url_is_broker(url) || url->host[0] == '\0' ? NULL : url->host,
        .is_revoked = material->source->is_revoked,
        .context = material->source->context,
    };
    return osr_tls_context_create(&options, ret_context, err);
}

static int add_listener(struct osr_security_contexts *contexts, const struct material *material,
                        const struct osr_url *url, struct osr_err *err)
{
    const struct osr_trust *trust = material->source->trust;
    struct door *door = &contexts->listeners[contexts->listener_count];
    unsigned proofs = proofs_of_listener(trust, url);
    int code = check_proofs(trust, "listen", url, proofs, err);
    if (code == 0) {
        code = make_context(material, url, true, proofs, &door->context, err);
    }
    if (code == 0) {
        door->url = url->text;
        contexts->listener_count++;
    }
    return code;
}

static int add_dialler(struct osr_security_contexts *contexts, const struct material *material,
                       const struct osr_url *url, struct osr_err *err)
{
    struct door *door = &contexts->diallers[contexts->dialler_count];
    unsigned proofs = proofs_of_peer(material->source, url);
    int code = check_proofs(material->source->trust, "peer", url, proofs, err);
    if (code == 0) {
        code = make_context(material, url, false, proofs, &door->context, err);
    }
    if (code == 0) {
        door->url = url->text;
        contexts->dialler_count++;
    }
    return code;
}

static int add_doors(struct osr_security_contexts *contexts, const struct material *material,
                     struct osr_err *err)
{
    const struct osr_config *config = material->source->config;
    int code = 0;

    contexts->listeners = osr_alloc((config->listen_count + 1) * sizeof(contexts->listeners[0]));
    contexts->diallers = osr_alloc((config->peer_count + 1) * sizeof(contexts->diallers[0]));
    for (size_t i = 0; code == 0 && i < config->listen_count; i++) {
        if (osr_url_is_secure(&config->listen[i])) {
            code = add_listener(contexts, material, &config->listen[i], err);
        }
    }
    for (size_t i = 0; code == 0 && i < config->peer_count; i++) {
        if (osr_url_is_secure(&config->peer[i])) {
            code = add_dialler(contexts, material, &config->peer[i], err);
        }
    }
    return code;
}

static int add_members(struct osr_security_contexts *contexts, const struct material *material,
                       struct osr_err *err)
{
    static const struct osr_url urls[MEMBER_KIND_COUNT] = {
        [MEMBER_FRAMES] = {.scheme = "tls"},
        [MEMBER_CALLS] = {.scheme = "grpcs"},
        [MEMBER_DATAGRAMS] = {.scheme = "udp"},
    };
    int code = 0;
    for (size_t i = 0; code == 0 && i < MEMBER_KIND_COUNT; i++) {
        code = make_context(material, &urls[i], false, proofs_of_member(material->source, &urls[i]),
                            &contexts->members[i], err);
    }
    return code;
}

static enum member_kind kind_of(const struct osr_url *url)
{
    if (osr_transport_promises(url->scheme)->carrier == OSR_CARRIER_DATAGRAMS) {
        return MEMBER_DATAGRAMS;
    }
    return osr_url_is_rpc(url) ? MEMBER_CALLS : MEMBER_FRAMES;
}

/* -- what they are made of -- */

/* One of an outside CA has no identity of ours: its subject decides at the other side. */
static int check_identity(const struct osr_security_source *source, struct osr_err *err)
{
    struct osr_certificate_facts facts;
    int code =
        osr_certificate_read(osr_trust_text(source->trust, OSR_TRUST_TLS_CERTIFICATE), &facts, err);
    if (code != 0) {
        return code;
    }
    char who[OSR_CERTIFICATE_NAME_BYTES_MAX + 1];
    snprintf(who, sizeof(who), "instance:%s", source->instance);
    if (facts.cluster[0] == '\0' ||
        (strcmp(facts.cluster, source->config->cluster) == 0 && strcmp(facts.who, who) == 0)) {
        return 0;
    }
    osr_err_set(err, OSR_CONFIG,
                "tls.crt is for %s of the cluster \"%s\"; this is %s of the cluster \"%s\"",
                facts.who, facts.cluster, who, source->config->cluster);
    osr_err_hint(err, "`osiris join` gets this instance a certificate of its own");
    return OSR_CONFIG;
}

static int choose_certificate(struct material *material, struct osr_err *err)
{
    const struct osr_security_source *source = material->source;
    if (osr_trust_has(source->trust, OSR_TRUST_TLS_CERTIFICATE)) {
        material->certificate_pem = osr_trust_text(source->trust, OSR_TRUST_TLS_CERTIFICATE);
        return check_identity(source, err);
    }
    char who[OSR_CERTIFICATE_NAME_BYTES_MAX + 1];
    snprintf(who, sizeof(who), "instance:%s", source->instance);
    int code = osr_certificate_self_signed(osr_trust_text(source->trust, OSR_TRUST_TLS_KEY),
                                           source->config->cluster, who, source->now_s,
                                           &material->self_signed, err);
    material->certificate_pem = osr_buffer_slice(&material->self_signed);
    return code;
}

static void list_shared_keys(struct material *material)
{
    const struct osr_shared_keys *keys = &material->source->trust->shared_keys;
    for (size_t i = 0; i < keys->count; i++) {
        material->keys[i] = (struct osr_tls_shared_key){
            keys->keys[i].name, osr_slice(keys->keys[i].secret, keys->keys[i].size)};
    }
}

bool osr_security_is_wanted(const struct osr_config *config)
{
    for (size_t i = 0; i < config->listen_count; i++) {
        if (osr_url_is_secure(&config->listen[i])) {
            return true;
        }
    }
    for (size_t i = 0; i < config->peer_count; i++) {
        if (osr_url_is_secure(&config->peer[i])) {
            return true;
        }
    }
    return false;
}

int osr_security_contexts_create(const struct osr_security_source *source,
                                 struct osr_security_contexts **ret_contexts, struct osr_err *err)
{
    struct osr_security_contexts *contexts = osr_alloc(sizeof(*contexts));
    struct material material = {.source = source};
    int code = 0;
    if (osr_security_is_wanted(source->config)) {
        list_shared_keys(&material);
        code = choose_certificate(&material, err);
        if (code == 0) {
            code = add_doors(contexts, &material, err);
        }
        if (code == 0) {
            code = add_members(contexts, &material, err);
        }
        osr_buffer_done(&material.self_signed);
    }
    if (code != 0) {
        osr_security_contexts_destroy(contexts);
        return code;
    }
    *ret_contexts = contexts;
    return 0;
}

static void release(struct door *doors, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        osr_tls_context_release(doors[i].context);
    }
    free(doors);
}

void osr_security_contexts_destroy(struct osr_security_contexts *contexts)
{
    if (contexts == NULL) {
        return;
    }
    release(contexts->listeners, contexts->listener_count);
    release(contexts->diallers, contexts->dialler_count);
    for (size_t i = 0; i < MEMBER_KIND_COUNT; i++) {
        osr_tls_context_release(contexts->members[i]);
    }
    free(contexts);
}

static struct osr_tls_context *find(const struct door *doors, size_t count, const char *url)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(doors[i].url, url) == 0) {
            return doors[i].context;
        }
    }
    return NULL;
}

struct osr_tls_context *osr_security_contexts_listener(const struct osr_security_contexts *contexts,
                                                       const struct osr_url *url)
{
    return find(contexts->listeners, contexts->listener_count, url->text);
}

struct osr_tls_context *osr_security_contexts_dialler(const struct osr_security_contexts *contexts,
                                                      const struct osr_url *url)
{
    struct osr_tls_context *own = find(contexts->diallers, contexts->dialler_count, url->text);
    return own != NULL || !osr_url_is_secure(url) ? own : contexts->members[kind_of(url)];
}

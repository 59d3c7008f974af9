#include "node/events_config.h"

#include <stdlib.h>

#include "model/limits.h"
#include "model/patterns.h"
#include "node/config_words.h"

/* One target while it is read. */
struct draft {
    struct osr_events_target target;
    struct osr_config_words to;
    struct osr_config_words collections;
    struct osr_config_words streams;
    struct osr_config_words codec;
    struct osr_config_words from;
    size_t line;
};

static int refuse(struct osr_config_yaml *yaml, const struct osr_config_word *word, const char *key,
                  const char *why)
{
    osr_err_set(yaml->err, OSR_CONFIG, "'%.200s': %s", word->text, why);
    return osr_config_yaml_blame(yaml, word->line, key);
}

/* -- one target's keys -- */

static int take_url(struct osr_config_yaml *yaml, struct draft *draft)
{
    static const char *const meant_elsewhere[] = {"for",  "as", "arrivals", "auth",
                                                  "peer", "id", "settle_ms"};
    const struct osr_config_word *word = &draft->to.items[0];
    struct osr_url *url = &draft->target.url;
    if (osr_url_parse(word->text, url, yaml->err) != 0) {
        return osr_config_yaml_blame(yaml, word->line, "to");
    }
    if (!osr_url_is_bus(url)) {
        return refuse(yaml, word, "to", "events go to mqtt, mqtts, amqp, amqps and zmq");
    }
    for (size_t i = 0; i < sizeof(meant_elsewhere) / sizeof(meant_elsewhere[0]); i++) {
        if (osr_url_parameter(url, meant_elsewhere[i]) != NULL) {
            osr_err_set(yaml->err, OSR_CONFIG, "'%s' says nothing where events go",
                        meant_elsewhere[i]);
            return osr_config_yaml_blame(yaml, word->line, "to");
        }
    }
    return 0;
}

/* May stand in the URL as well, but not in both places. */
static int take_codec(struct osr_config_yaml *yaml, struct draft *draft)
{
    const char *name = osr_url_parameter(&draft->target.url, "codec");
    if (draft->codec.count > 0) {
        const struct osr_config_word *word = &draft->codec.items[0];
        if (name != NULL) {
            return refuse(yaml, word, "codec", "`to` names a codec already");
        }
        if (!osr_codec_parse(word->text, &draft->target.codec)) {
            return refuse(yaml, word, "codec", "a codec is json, protobuf or yaml");
        }
        return 0;
    }
    draft->target.codec = OSR_CODEC_JSON;
    if (name != NULL) {
        osr_codec_parse(name, &draft->target.codec); /* the URL has checked it */
    }
    return 0;
}

static int take_from(struct osr_config_yaml *yaml, struct draft *draft)
{
    if (draft->from.count == 0) {
        return 0;
    }
    const struct osr_config_word *word = &draft->from.items[0];
    draft->target.is_from_start = strcmp(word->text, "start") == 0;
    bool is_known = draft->target.is_from_start || strcmp(word->text, "now") == 0;
    return is_known ? 0 : refuse(yaml, word, "from", "events begin from now or from start");
}

static int take_streams(struct osr_config_yaml *yaml, const struct draft *draft)
{
    for (size_t i = 0; i < draft->streams.count; i++) {
        const struct osr_config_word *word = &draft->streams.items[i];
        if (strcmp(word->text, "trust") == 0) {
            return refuse(yaml, word, "streams",
                          "who is trusted is told to members of the cluster alone");
        }
        if (strcmp(word->text, "kb") != 0) {
            return refuse(yaml, word, "streams", "the stream whose events can be had is kb");
        }
    }
    return 0;
}

static int take_collections(struct osr_config_yaml *yaml, struct draft *draft)
{
    struct osr_events_target *target = &draft->target;
    const struct osr_config_words *words = &draft->collections;
    if (words->count > OSR_EVENTS_COLLECTIONS_MAX) {
        return refuse(yaml, &words->items[OSR_EVENTS_COLLECTIONS_MAX], "collections",
                      "there are more than 1,024 of them");
    }
    target->collections = osr_alloc((words->count + 1) * sizeof(*target->collections));
    for (size_t i = 0; i < words->count; i++) {
        const struct osr_config_word *word = &words->items[i];
        const char *star = strchr(word->text, '*');
        if (star != NULL && star[1] != '\0') {
            return refuse(yaml, word, "collections", "a '*' stands at the end alone");
        }
        if (strlen(word->text) > OSR_COLLECTION_BYTES_MAX) {
            return refuse(yaml, word, "collections", "no collection has so long a name");
        }
        target->collections[target->collection_count++] = osr_strdup(word->text);
    }
    return 0;
}

static const struct draft_key {
    const char *name;
    size_t offset; /* of its words in the draft */
    bool is_list;
} keys[] = {
    {"to", offsetof(struct draft, to), false},
    {"collections", offsetof(struct draft, collections), true},
    {"streams", offsetof(struct draft, streams), true},
    {"codec", offsetof(struct draft, codec), false},
    {"from", offsetof(struct draft, from), false},
};
enum { KEY_COUNT = sizeof(keys) / sizeof(keys[0]) };

static struct osr_config_words *words_of(struct draft *draft, const struct draft_key *key)
{
    return (struct osr_config_words *)(void *)((char *)draft + key->offset);
}

static int read_key(void *context, const struct osr_config_word *word, void *into)
{
    static const char *const known[KEY_COUNT + 1] = {"to", "collections", "streams", "codec",
                                                     "from"};
    struct osr_config_yaml *yaml = context;
    for (size_t i = 0; i < KEY_COUNT; i++) {
        if (strcmp(keys[i].name, word->text) != 0) {
            continue;
        }
        struct osr_config_words *words = words_of(into, &keys[i]);
        if (words->count > 0) {
            return osr_config_yaml_refuse(yaml, word->text, "the key is there twice");
        }
        int code = osr_config_words_read(yaml, word->text, words);
        if (code == 0 && words->count == 0) {
            return osr_config_yaml_refuse(yaml, word->text, "the list is empty");
        }
        if (code == 0 && words->count > 1 && !keys[i].is_list) {
            return osr_config_yaml_refuse(yaml, word->text, "takes one value, not a list");
        }
        return code;
    }
    return osr_config_key_refuse(yaml, word->text, known);
}

static void done_target(struct osr_events_target *target)
{
    for (size_t i = 0; i < target->collection_count; i++) {
        free(target->collections[i]);
    }
    free(target->collections);
    *target = (struct osr_events_target){0};
}

static void done_draft(struct draft *draft)
{
    done_target(&draft->target);
    for (size_t i = 0; i < KEY_COUNT; i++) {
        osr_config_words_done(words_of(draft, &keys[i]));
    }
}

/* -- the section -- */

/* Two to one place would have one cursor. */
static int check_place(struct osr_config_yaml *yaml, const struct draft *draft,
                       const struct osr_events_config *config)
{
    char *place = osr_events_target_place(&draft->target);
    bool is_taken = false;
    for (size_t i = 0; i < config->target_count; i++) {
        char *other = osr_events_target_place(&config->targets[i]);
        is_taken = is_taken || strcmp(place, other) == 0;
        free(other);
    }
    free(place);
    return is_taken ? refuse(yaml, &draft->to.items[0], "to", "events go there already") : 0;
}

static int finish_target(struct osr_config_yaml *yaml, struct draft *draft,
                         struct osr_events_config *config)
{
    if (draft->to.count == 0) {
        osr_err_set(yaml->err, OSR_CONFIG, "`to` is missing: where the events go");
        return osr_config_yaml_blame(yaml, draft->line, "events");
    }
    int code = take_url(yaml, draft);
    if (code == 0) {
        code = take_codec(yaml, draft);
    }
    if (code == 0) {
        code = take_from(yaml, draft);
    }
    if (code == 0) {
        code = take_streams(yaml, draft);
    }
    if (code == 0) {
        code = take_collections(yaml, draft);
    }
    if (code == 0) {
        code = check_place(yaml, draft, config);
    }
    if (code == 0) {
        size_t size = (config->target_count + 1) * sizeof(*config->targets);
        config->targets = osr_realloc(config->targets, size);
        config->targets[config->target_count++] = draft->target;
        draft->target = (struct osr_events_target){0};
    }
    return code;
}

/* Its mapping has begun. */
static int read_target(struct osr_config_yaml *yaml, const char *key,
                       struct osr_events_config *config)
{
    struct draft draft = {.line = osr_config_yaml_line(yaml)};
    if (config->target_count == OSR_EVENTS_TARGETS_MAX) {
        return osr_config_yaml_refuse(yaml, key, "more than 8 of them");
    }
    int code = osr_config_mapping_read(yaml, key, read_key, yaml, &draft);
    if (code == 0) {
        code = finish_target(yaml, &draft, config);
    }
    done_draft(&draft);
    return code;
}

int osr_events_config_read(struct osr_config_yaml *yaml, const char *key,
                           struct osr_events_config *config)
{
    static const char form[] = "takes a list, as `- to: mqtt://BROKER/ADDRESS`";
    int code = osr_config_yaml_next(yaml, key);
    if (code == 0 && yaml->events.event.type != YAML_SEQUENCE_START_EVENT) {
        return osr_config_yaml_refuse(yaml, key, form);
    }
    while (code == 0) {
        code = osr_config_yaml_next(yaml, key);
        if (code != 0 || yaml->events.event.type == YAML_SEQUENCE_END_EVENT) {
            return code;
        }
        code = yaml->events.event.type == YAML_MAPPING_START_EVENT
                   ? read_target(yaml, key, config)
                   : osr_config_yaml_refuse(yaml, key, form);
    }
    return code;
}

void osr_events_config_done(struct osr_events_config *config)
{
    for (size_t i = 0; i < config->target_count; i++) {
        done_target(&config->targets[i]);
    }
    free(config->targets);
    *config = (struct osr_events_config){0};
}

/* -- comparing -- */

static bool targets_are_equal(const struct osr_events_target *a, const struct osr_events_target *b)
{
    if (strcmp(a->url.text, b->url.text) != 0 || a->codec != b->codec ||
        a->is_from_start != b->is_from_start || a->collection_count != b->collection_count) {
        return false;
    }
    for (size_t i = 0; i < a->collection_count; i++) {
        if (strcmp(a->collections[i], b->collections[i]) != 0) {
            return false;
        }
    }
    return true;
}

bool osr_events_config_is_equal(const struct osr_events_config *a,
                                const struct osr_events_config *b)
{
    if (a->target_count != b->target_count) {
        return false;
    }
    for (size_t i = 0; i < a->target_count; i++) {
        if (!targets_are_equal(&a->targets[i], &b->targets[i])) {
            return false;
        }
    }
    return true;
}

/* -- one target -- */

bool osr_events_target_wants(const struct osr_events_target *target, const char *collection)
{
    bool is_wanted = target->collection_count == 0;
    for (size_t i = 0; i < target->collection_count && !is_wanted; i++) {
        struct osr_pattern pattern = osr_pattern_read(osr_slice_text(target->collections[i]));
        is_wanted = osr_pattern_covers(&pattern, osr_slice_text(collection));
    }
    return is_wanted;
}

char *osr_events_target_place(const struct osr_events_target *target)
{
    const struct osr_url *url = &target->url;
    const char *vhost = osr_url_parameter(url, "vhost");
    return osr_format("%s://%s%s%s:%u%s%s%s%s", url->scheme, url->user,
                      url->user[0] != '\0' ? "@" : "", url->host, url->port,
                      url->address[0] != '\0' ? "/" : "", url->address,
                      vhost != NULL ? "?vhost=" : "", vhost != NULL ? vhost : "");
}

/* config_words.h -- words, lists of words, and mappings by words: what the nested sections of the
 * config file are made of. Under node/access_config and node/events_config. */
#ifndef OSR_NODE_CONFIG_WORDS_H
#define OSR_NODE_CONFIG_WORDS_H

#include "node/config_yaml.h"

struct osr_config_word {
    char *text;
    size_t line;
};

/* A zeroed one is empty and valid. */
struct osr_config_words {
    struct osr_config_word *items;
    size_t count;
};

void osr_config_words_done(struct osr_config_words *words); /* frees */

/* The current event is the scalar; the text is to be freed. `key` is for messages, here and below;
 * the return value is CONFIG where the file is refused. */
int osr_config_word_take(struct osr_config_yaml *yaml, const char *key,
                         struct osr_config_word *ret_word);
/* The value of `key`, which is the next event: one word, or a list of them. */
int osr_config_words_read(struct osr_config_yaml *yaml, const char *key,
                          struct osr_config_words *words);

/* Makes the next event the current one: it must be the beginning of a mapping, else `why`. */
int osr_config_mapping_begin(struct osr_config_yaml *yaml, const char *key, const char *why);
/* Reads the value of a key; the key lives until the return. */
typedef int osr_config_pair_fn(void *context, const struct osr_config_word *key, void *into);
/* The mapping of `of` has begun; reads it to its end. */
int osr_config_mapping_read(struct osr_config_yaml *yaml, const char *of, osr_config_pair_fn *read,
                            void *context, void *into);
/* Of a mapping that has the keys `known` (the last is NULL) alone. */
int osr_config_key_refuse(struct osr_config_yaml *yaml, const char *key, const char *const *known);

#endif

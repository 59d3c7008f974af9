#include "node/config_words.h"

#include <stdlib.h>

#include "base/text.h"

void osr_config_words_done(struct osr_config_words *words)
{
    for (size_t i = 0; i < words->count; i++) {
        free(words->items[i].text);
    }
    free(words->items);
    *words = (struct osr_config_words){0};
}

int osr_config_word_take(struct osr_config_yaml *yaml, const char *key,
                         struct osr_config_word *ret_word)
{
    const char *text = osr_config_yaml_text(yaml);
    if (text == NULL) {
        return osr_config_yaml_refuse(yaml, key, "the value has a NUL inside");
    }
    *ret_word = (struct osr_config_word){osr_strdup(text), osr_config_yaml_line(yaml)};
    return 0;
}

static int add_word(struct osr_config_yaml *yaml, const char *key, struct osr_config_words *words)
{
    struct osr_config_word word;
    int code = osr_config_word_take(yaml, key, &word);
    if (code == 0) {
        words->items = osr_realloc(words->items, (words->count + 1) * sizeof(*words->items));
        words->items[words->count++] = word;
    }
    return code;
}

int osr_config_words_read(struct osr_config_yaml *yaml, const char *key,
                          struct osr_config_words *words)
{
    int code = osr_config_yaml_next(yaml, key);
    if (code != 0) {
        return code;
    }
    if (yaml->events.event.type == YAML_SCALAR_EVENT) {
        return add_word(yaml, key, words);
    }
    if (yaml->events.event.type != YAML_SEQUENCE_START_EVENT) {
        return osr_config_yaml_refuse(yaml, key, "takes a word, or a list of words");
    }
    for (;;) {
        code = osr_config_yaml_next(yaml, key);
        if (code != 0 || yaml->events.event.type == YAML_SEQUENCE_END_EVENT) {
            return code;
        }
        if (yaml->events.event.type != YAML_SCALAR_EVENT) {
            return osr_config_yaml_refuse(yaml, key,
                                          "lists and mappings cannot stand inside a list");
        }
        code = add_word(yaml, key, words);
        if (code != 0) {
            return code;
        }
    }
}

int osr_config_mapping_begin(struct osr_config_yaml *yaml, const char *key, const char *why)
{
    int code = osr_config_yaml_next(yaml, key);
    if (code == 0 && yaml->events.event.type != YAML_MAPPING_START_EVENT) {
        code = osr_config_yaml_refuse(yaml, key, why);
    }
    return code;
}

int osr_config_mapping_read(struct osr_config_yaml *yaml, const char *of, osr_config_pair_fn *read,
                            void *context, void *into)
{
    for (;;) {
        struct osr_config_word key;
        int code = osr_config_yaml_next(yaml, of);
        if (code != 0 || yaml->events.event.type == YAML_MAPPING_END_EVENT) {
            return code;
        }
        if (yaml->events.event.type != YAML_SCALAR_EVENT) {
            return osr_config_yaml_refuse(yaml, of, "a key must be a word");
        }
        code = osr_config_word_take(yaml, of, &key);
        if (code != 0) {
            return code;
        }
        code = read(context, &key, into);
        free(key.text);
        if (code != 0) {
            return code;
        }
    }
}

int osr_config_key_refuse(struct osr_config_yaml *yaml, const char *key, const char *const *known)
{
    struct osr_text_guess guess = osr_text_guess(key);

    osr_config_yaml_refuse(yaml, key, "unknown key");
    for (; *known != NULL; known++) {
        osr_text_guess_offer(&guess, *known);
    }
    if (guess.nearest != NULL) {
        osr_err_hint(yaml->err, "did you mean '%s'?", guess.nearest);
    }
    return OSR_CONFIG;
}

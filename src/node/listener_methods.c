#include "node/listener_methods.h"

#include "base/text.h"

#define BIT(name) (1u << OSR_METHOD_##name)

static const struct {
    const char *word;
    const char *taken;
} methods_known[] = {
#define METHOD_ROW(name, word, taken) {word, taken},
    OSR_METHODS(METHOD_ROW)
#undef METHOD_ROW
};

static unsigned method_of(struct osr_slice word)
{
    for (size_t i = 0; i < OSR_METHOD_COUNT; i++) {
        if (osr_slice_equal(word, osr_slice_text(methods_known[i].word))) {
            return 1u << i;
        }
    }
    return 0;
}

unsigned osr_methods_of(const struct osr_url *url)
{
    const char *auth = osr_url_parameter(url, "auth");
    if (auth == NULL) {
        return BIT(CERTIFICATE) | BIT(TOKEN) | BIT(PASSWORD);
    }
    struct osr_slice list = osr_slice_text(auth);
    unsigned methods = 0;
    bool more = true;
    while (more) {
        struct osr_slice word;
        more = osr_text_take_item(&list, &word);
        methods |= method_of(word);
    }
    return methods;
}

void osr_methods_write(unsigned methods, struct osr_buffer *text)
{
    size_t before = text->size;
    for (size_t i = 0; i < OSR_METHOD_COUNT; i++) {
        if ((methods >> i & 1) != 0) {
            bool is_last = methods >> i == 1;
            osr_buffer_add_text(text, text->size == before ? "" : is_last ? " and " : ", ");
            osr_buffer_add_text(text, methods_known[i].taken);
        }
    }
}

static int refuse(unsigned methods, const char *what, struct osr_err *err)
{
    struct osr_buffer text = {0};
    osr_methods_write(methods, &text);
    osr_err_set(err, OSR_UNAUTHENTICATED, "this listener takes no %s: it takes %.*s", what,
                (int)text.size, (const char *)text.data);
    osr_err_hint(err, "show one of these, or come by another listener; the `auth` of its URL lists "
                      "what a listener takes");
    osr_buffer_done(&text);
    return OSR_UNAUTHENTICATED;
}

int osr_methods_check_login(unsigned methods, struct osr_err *err)
{
    return (methods & BIT(PASSWORD)) != 0 ? 0 : refuse(methods, "passwords", err);
}

int osr_methods_check_pin(unsigned methods, struct osr_err *err)
{
    return (methods & BIT(PIN)) != 0 ? 0 : refuse(methods, "approved ids", err);
}

int osr_methods_check_token(unsigned methods, bool is_of_login, struct osr_err *err)
{
    if (is_of_login) {
        return osr_methods_check_login(methods, err);
    }
    return (methods & BIT(TOKEN)) != 0 ? 0 : refuse(methods, "tokens", err);
}

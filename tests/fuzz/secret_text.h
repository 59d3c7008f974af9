/* secret_text.h -- what holds for every text that carries a secret: tokens and invitations. */
#ifndef OSR_TESTS_SECRET_TEXT_H
#define OSR_TESTS_SECRET_TEXT_H

#include <ctype.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "fuzz.h"

/* The next character that counts, in lower case; -1 at the end. */
static int next_character(struct osr_slice *text)
{
    while (text->size > 0) {
        int character = text->data[0];
        *text = osr_slice(text->data + 1, text->size - 1);
        if (character == 0 || strchr("-. \t\r\n\v\f", character) == NULL) {
            return character >= 'A' && character <= 'Z' ? tolower(character) : character;
        }
    }
    return -1;
}

static bool is_same_text(struct osr_slice a, struct osr_slice b)
{
    int character;
    do {
        character = next_character(&a);
        if (character != next_character(&b)) {
            return false;
        }
    } while (character >= 0);
    return true;
}

static void must_be_same_text(struct osr_slice a, struct osr_slice b)
{
    MUST(is_same_text(a, b));
}

/* No piece of the text stands in what is said of it. Pieces are long enough to be no words of
 * the messages. */
static void must_not_repeat(const struct osr_err *err, struct osr_slice text)
{
    enum { PIECE = 20 };
    for (size_t i = 0; i + PIECE <= text.size; i++) {
        char piece[PIECE + 1] = "";
        memcpy(piece, text.data + i, PIECE);
        if (strlen(piece) == PIECE) {
            MUST(strstr(err->message, piece) == NULL && strstr(err->hint, piece) == NULL);
        }
    }
}

static void swap(uint8_t *a, uint8_t *b)
{
    uint8_t kept = *a;
    *a = *b;
    *b = kept;
}

/* One slip of a typist, which the input chooses: a wrong character, one that is missing or too
 * many, two swapped, an end that is missing. */
static void alter(struct osr_buffer *text, const uint8_t *data, size_t size)
{
    uint8_t choice[6] = {0};
    memcpy(choice, data, size < sizeof(choice) ? size : sizeof(choice));
    size_t at = ((size_t)choice[1] << 8 | choice[2]) % text->size;
    size_t other = ((size_t)choice[3] << 8 | choice[4]) % text->size;
    switch (choice[0] % 5) {
    case 0:
        text->data[at] = choice[5];
        break;
    case 1:
        memmove(text->data + at, text->data + at + 1, text->size - at - 1);
        text->size--;
        break;
    case 2:
        osr_buffer_add_u8(text, 0);
        memmove(text->data + at + 1, text->data + at, text->size - at - 1);
        text->data[at] = choice[5];
        break;
    case 3:
        swap(&text->data[at], &text->data[other]);
        break;
    default:
        text->size = at;
    }
}

#endif

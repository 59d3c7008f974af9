/* speakable.h -- an instance's id, short enough to read out: "kxq4-72mn-b3ta-w".
 *
 * The first 60 bits of the id as twelve characters of base32 in groups of four, and behind them one
 * that checks them: characters are elements of GF(32) (bits as coefficients, modulo x^5 + x^2 + 1),
 * and the sum of all 13, the last times 1, the one before times x, the next times x^2 and so on,
 * is zero. So every single wrong character is found, and every swap of two. 60 bits are for people
 * who compare; programs compare the whole id. */
#ifndef OSR_MODEL_SPEAKABLE_H
#define OSR_MODEL_SPEAKABLE_H

#include "model/identity.h"

enum { OSR_SPEAKABLE_CHARS = 16 };

/* OSR_SPEAKABLE_CHARS characters and a NUL. */
void osr_speakable_write(char *text, const char *instance);
/* Whether `text`, in any case and with or without hyphens and blanks, names this instance: the
 * speakable form or the whole id. INVALID_ARGUMENT: it is neither, or its check is wrong (names the
 * group that is not this instance's, if it is one alone); NOT_FOUND: it names another. */
int osr_speakable_check(const char *text, const char *instance, struct osr_err *err);
/* Whether `text`, in any case and with or without hyphens and blanks, means this instance: by the
 * speakable form, the whole id, or the beginning of it, by which others may be meant, too. */
bool osr_speakable_means(const char *text, const char *instance);

#endif

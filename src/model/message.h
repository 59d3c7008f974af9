/* message.h -- the generated message types of proto/osiris/v1, in C. */
#ifndef OSR_MODEL_MESSAGE_H
#define OSR_MODEL_MESSAGE_H

#include "document.pb-c.h"
#include "error.pb-c.h"
#include "feed.pb-c.h"
#include "frame.pb-c.h"
#include "instance.pb-c.h"
#include "knowledge.pb-c.h"

#endif

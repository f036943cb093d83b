/* A PKCS#11 library whose one slot says that it is a device, around SoftHSM's, which does all the work.
 *
 * Production takes a key from hardware alone, and a test has none: what a token is worth is told by what its slot says
 * and who made it, so this says it for SoftHSM. Every other call goes to SoftHSM as it is. It also shows what that word
 * rests on: whoever installs the library on the proxy's host.
 */
#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

typedef unsigned long word;
typedef word (*call)(void);
struct functions { unsigned char version[2]; call call[68]; };
struct slot { char description[64], maker[32]; word flags; unsigned char versions[4]; };
struct token { char label[32], maker[32], model[16], serial[16]; };

enum { GET_FUNCTIONS = 3, GET_SLOT = 5, GET_TOKEN = 6, HARDWARE_SLOT = 4 };

static struct functions ours, *theirs;

static void say(char *field, size_t size, const char *text) {
    memset(field, ' ', size);
    memcpy(field, text, strlen(text));
}

static word get_slot(word id, struct slot *found) {
    word answer = ((word (*)(word, struct slot *))theirs->call[GET_SLOT])(id, found);
    if (answer == 0) {
        say(found->description, sizeof found->description, "Slot of a device");
        say(found->maker, sizeof found->maker, "Device Works");
        found->flags |= HARDWARE_SLOT;
    }
    return answer;
}

static word get_token(word id, struct token *found) {
    word answer = ((word (*)(word, struct token *))theirs->call[GET_TOKEN])(id, found);
    if (answer == 0) {
        say(found->maker, sizeof found->maker, "Device Works");
        say(found->model, sizeof found->model, "Device 1");
    }
    return answer;
}

word C_GetFunctionList(struct functions **list) {
    if (theirs == NULL) {
        void *library = dlopen(SOFTHSM, RTLD_NOW | RTLD_LOCAL);
        word (*get)(struct functions **) = library ? (word (*)(struct functions **))dlsym(library, "C_GetFunctionList") : NULL;
        if (get == NULL || get(&theirs) != 0) return 5;
        ours = *theirs;
        ours.call[GET_FUNCTIONS] = (call)C_GetFunctionList;
        ours.call[GET_SLOT] = (call)get_slot;
        ours.call[GET_TOKEN] = (call)get_token;
    }
    *list = &ours;
    return 0;
}

/* Runs kernels one after another as a plan says, a text file with one step per line:
 *
 *     begin NAME                               a new list of tensors, numbered from 0
 *     tensor CODE BITS RANK EXTENT...          a new one, DLPack's dtype code and bits
 *     view OF OFFSET CODE BITS RANK EXTENT...  another tensor in the bytes of tensor OF, from byte OFFSET
 *     read TENSOR FILE                         fill it with a file's bytes
 *     call LIBRARY SYMBOL COUNT TENSOR...      run a kernel
 *     copy TO FROM                             the bytes of one tensor into another of as many
 *     write TENSOR FILE                        put its bytes into a file
 *
 * Files are named relative to the working directory; names hold no spaces. A step that fails ends its list, is
 * printed with its reason, and makes the exit status 1; the next list runs all the same.
 * `python -m examples.c.write_plan` writes such a plan for a subgraph of a compiled model. */
#include "host.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_TENSORS = 4096, MOST_ARGS = 64, NAME = 512 };

typedef struct {
    DLTensor head;
    int64_t shape[MOST_RANK];
    uint64_t nbytes;
    void *owned; /* NULL for a view */
} Tensor;

static Tensor tensors[MOST_TENSORS];
static int used;

static void clear(void) {
    for (int i = 0; i < used; i++) free(tensors[i].owned);
    used = 0;
}

static Tensor *tensor_at(int index) { return index >= 0 && index < used ? &tensors[index] : NULL; }

/* The rest of a line that makes a tensor: dtype and extents. NULL where they make no sense. */
static Tensor *describe(FILE *plan) {
    unsigned code, bits;
    int rank;
    if (used == MOST_TENSORS || fscanf(plan, "%u %u %d", &code, &bits, &rank) != 3) return NULL;
    if (rank < 0 || rank > MOST_RANK || bits % 8) return NULL;
    Tensor *made = &tensors[used];
    memset(made, 0, sizeof *made);
    made->nbytes = bits / 8;
    for (int i = 0; i < rank; i++) {
        if (fscanf(plan, "%" SCNd64, &made->shape[i]) != 1 || made->shape[i] < 0) return NULL;
        made->nbytes *= (uint64_t)made->shape[i];
    }
    made->head = (DLTensor){.device_type = 1, .ndim = rank, .code = (uint8_t)code, .bits = (uint8_t)bits,
                            .lanes = 1, .shape = made->shape};
    return made;
}

static const char *step_tensor(FILE *plan) {
    Tensor *made = describe(plan);
    if (made == NULL) return "no tensor";
    made->head.data = made->owned = aligned_bytes(made->nbytes);
    if (made->owned == NULL) return "not enough memory";
    used++;
    return NULL;
}

static const char *step_view(FILE *plan) {
    int of;
    uint64_t offset;
    if (fscanf(plan, "%d %" SCNu64, &of, &offset) != 2) return "no view";
    Tensor *made = describe(plan), *owner = tensor_at(of);
    if (made == NULL || owner == NULL) return "no view";
    if (offset % ALIGNMENT || offset > owner->nbytes || made->nbytes > owner->nbytes - offset)
        return "the view is not inside its owner";
    made->head.data = (char *)owner->head.data + offset;
    used++;
    return NULL;
}

/* `mode` "rb" fills the tensor from the file, "wb" the file from the tensor. */
static const char *step_file(FILE *plan, const char *mode) {
    int index;
    char path[NAME];
    if (fscanf(plan, "%d %511s", &index, path) != 2 || tensor_at(index) == NULL) return "no tensor and file";
    Tensor *tensor = tensor_at(index);
    FILE *file = fopen(path, mode);
    if (file == NULL) return "the file cannot be opened";
    size_t wanted = (size_t)tensor->nbytes;
    size_t moved = mode[0] == 'r' ? fread(tensor->head.data, 1, wanted, file)
                                  : fwrite(tensor->head.data, 1, wanted, file);
    return fclose(file) == 0 && moved == wanted ? NULL : "the file has another size";
}

static const char *step_call(FILE *plan) {
    char library[NAME], symbol[NAME];
    int count, index;
    DLTensor *args[MOST_ARGS];
    if (fscanf(plan, "%511s %511s %d", library, symbol, &count) != 3 || count < 0 || count > MOST_ARGS)
        return "no call";
    for (int i = 0; i < count; i++) {
        if (fscanf(plan, "%d", &index) != 1 || tensor_at(index) == NULL) return "an argument is no tensor";
        args[i] = &tensor_at(index)->head;
    }
    Kernel kernel = open_kernel(library, symbol);
    if (kernel == NULL || call_kernel(kernel, args, count) != 0) return last_error();
    return NULL;
}

static const char *step_copy(FILE *plan) {
    int to, from;
    if (fscanf(plan, "%d %d", &to, &from) != 2 || !tensor_at(to) || !tensor_at(from)) return "no two tensors";
    if (tensors[to].nbytes != tensors[from].nbytes) return "the tensors differ in size";
    memcpy(tensors[to].head.data, tensors[from].head.data, (size_t)tensors[to].nbytes);
    return NULL;
}

static const char *step(FILE *plan, const char *word) {
    if (strcmp(word, "tensor") == 0) return step_tensor(plan);
    if (strcmp(word, "view") == 0) return step_view(plan);
    if (strcmp(word, "read") == 0) return step_file(plan, "rb");
    if (strcmp(word, "call") == 0) return step_call(plan);
    if (strcmp(word, "copy") == 0) return step_copy(plan);
    if (strcmp(word, "write") == 0) return step_file(plan, "wb");
    return "there is no such step";
}

/* One line, although a kernel's message may have several. */
static void report(const char *name, const char *word, const char *problem) {
    printf("failed %s: %s: ", name, word);
    for (; *problem; problem++) putchar(*problem == '\n' ? ' ' : *problem);
    putchar('\n');
}

int main(int argc, char **argv) {
    FILE *plan = argc == 2 ? fopen(argv[1], "r") : NULL;
    if (plan == NULL) return fputs("usage: run_plan PLAN\n", stderr), 2;
    char word[32], name[NAME] = "";
    int failures = 0, ended = 0;
    while (fscanf(plan, "%31s", word) == 1) {
        const char *problem = NULL;
        if (strcmp(word, "begin") == 0) {
            clear();
            ended = fscanf(plan, "%511s", name) != 1;
        } else if (!ended) {
            problem = step(plan, word);
        }
        if (problem != NULL) {
            report(name, word, problem);
            failures++, ended = 1;
        }
        if (ended && fscanf(plan, "%*[^\n]") == EOF) break;
    }
    clear();
    fclose(plan);
    return failures != 0;
}

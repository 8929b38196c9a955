/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vine/state.h - coroutines: functions that may block, as straight-line C.
 *
 * Owns:     nothing here; a coroutine, its frame and what it allocates lie in the heap of its
 *           micro-process, and go with it.
 * Threads:  a micro-process runs on one core, and one of its coroutines at a time.
 * Blocking: what is written vine_...() in a coroutine may block it, and it alone.
 * Trust:    the state of a coroutine is a number in its frame, checked against a table of where its
 *           function may go on; there is no address of code in a heap.
 * Limits:   VINE_COROUTINE_DEPTH_MAX calls within each other.
 *
 *     VINE_COROUTINE(count)
 *     {
 *         struct { int i; } *self;
 *
 *         vine_begin();
 *         for (self->i = 0; self->i < 3; self->i++)
 *             vine_sleep(VINE_NS_PER_SECOND);
 *         vine_end();
 *     }
 *
 * `that` is the running coroutine, `self` its state: a structure declared first, zeroed when the
 * coroutine begins. A local variable does not live across an operation that may block; where one
 * would, the compiler says that it may be used uninitialized, and that is an error: clang at any
 * level, gcc from -O1 on and as far as it follows a value. A local array that is read into, or
 * written, is a misuse that is told where the operation begins.
 *
 * Operations are statements between vine_begin and vine_end: they may stand in any statement, a
 * switch included, several on one line, and in macros, which are operations of a user's own then.
 * What they take is evaluated once, before they block; what they give is assigned after it.
 *
 * What fails is raised: it goes to the coroutine's vine_catch, then its vine_finally, then to who
 * called it or made it, and ends the micro-process where nobody caught it.
 *
 * Caveats:  in a file that includes this, a name that vine/reactor.h or vine/network.h has as well
 *           (vine_send, vine_listen, vine_connect) followed by "(" is the coroutine's operation;
 *           the function is (vine_send)(...). C only: the operations are GNU C (gcc, clang).
 */
#ifndef VINE_STATE_H
#define VINE_STATE_H

#include <errno.h>
#include <stdbool.h>
#include <sys/types.h>

#include <vine/base.h>
#include <vine/network.h>
#include <vine/reactor.h>

VINE_BEGIN_DECLARATIONS

#define VINE_COROUTINE_DEPTH_MAX 64

struct vine_coroutine;
struct vine_socket;
struct vine__inside;
struct vine__module;

typedef void (*vine_coroutine_fn)(struct vine_coroutine *that);

/* ---- what the macros write down; private ----------------------------------------------------- */

/* A coroutine's function, in the section vine_coroutines of its program or library. */
struct vine_coroutine_type {
    vine_coroutine_fn fn;
    const char *name;
    const char *file;
    struct vine__module *module;
};

enum vine__point_kind { VINE__POINT_BLOCK, VINE__POINT_CATCH, VINE__POINT_FINALLY };

/* A place where a function may go on, in the section vine_points. `base` is the beginning of its
 * function's body, by which points are told from those of others. */
struct vine__point {
    const void *label;
    const void *base;
    const char *operation;
    uint32_t line;
    uint32_t kind; /* enum vine__point_kind */
};

/* A program or library that has coroutines. */
struct vine__module {
    const struct vine_coroutine_type *types, *types_end;
    const struct vine__point *points, *points_end;
    const char *text, *text_end; /* of its coroutines */
    uint32_t number;             /* from 1; 0: it is not known yet */
};

enum vine__coroutine_status {
    VINE__COROUTINE_RUNNING, /* or waits for its turn */
    VINE__COROUTINE_YIELDED,
    VINE__COROUTINE_BLOCKED,
    VINE__COROUTINE_LEFT,  /* its function has ended; perhaps its children have not */
    VINE__COROUTINE_ENDED, /* all of it, and somebody may ask how */
};

enum vine__coroutine_phase {
    VINE__PHASE_BODY,
    VINE__PHASE_CAUGHT,
    VINE__PHASE_FINALLY,
};

/* What a blocked coroutine asks of who is outside of its heap. */
struct vine__ask {
    struct vine__ask *next; /* of those that nobody has taken yet */
    uint32_t number;        /* by which its end is told from that of an earlier one */
    uint16_t kind;          /* enum vine__ask_kind */
    uint16_t socket;        /* its place */
    uint64_t a;             /* as its kind says */
    struct vine__ask *previous;
    uint64_t run; /* in which it was asked; later it is not in the list */
    bool *sign;   /* cleared if it is taken back in that run, or NULL */
};

/* Coroutines that wait for the same, the first one first, by `next`. */
struct vine__waiters {
    struct vine_coroutine *first, *last;
};

/* What is to be told when a coroutine ends: `*count` is one less then, and who waits is woken, with
 * `error` if there is one. */
struct vine__at_end {
    struct vine__at_end *next;
    uint32_t *count; /* or NULL */
    struct vine__waiters *waiters;
    int error;
    bool is_early;  /* when its function ends, whether or not its children have */
    bool is_beyond; /* it is something outside, too, which goes then: */
    uint16_t place; /* which */
};

/* Its fields are here because macros go by them; private, but for vine_* below. What each time that
 * it goes on touches comes first, together. */
struct vine_coroutine {
    uint32_t state; /* a number of vine_points, from 1; 0: it has not begun */
    uint16_t type;  /* a number of its module's vine_coroutines */
    uint8_t module;
    uint8_t status; /* enum vine__coroutine_status */
    uint8_t phase;  /* enum vine__coroutine_phase */
    uint8_t depth;
    bool is_queued;    /* it runs, or will */
    bool is_called;    /* by vine_call */
    bool is_detached;  /* nobody has a handle */
    bool is_responder; /* cancelled when its parent leaves */
    bool is_cancelled;
    bool is_played;
    bool is_paused;     /* it is blocked in vine_pause */
    bool has_cancelled; /* its children, as it has left by an error */
    bool is_named;      /* outside, by an ask that was taken back: an answer may come still */
    uint8_t step;       /* of the operation under way */
    uint32_t magic;     /* while it is one */
    int error;          /* raised, and nobody has dealt with it */
    int pending;        /* what was raised before vine_finally, or 0 */
    void *frame;
    struct vine__inside *inside;
    struct vine_socket *socket; /* its standard input and output */
    uint64_t deadline_ns;       /* of operations from now on, or 0 */
    struct vine__ask ask;
    int64_t result;              /* of the operation that has ended */
    struct vine_coroutine *next; /* in the run queue, or of those that wait */
    void *argument;
    struct vine_coroutine **waits; /* where it is known as one that waits, or NULL */
    struct vine__waiters *queue;   /* the same, among others */
    struct vine_coroutine *parent, *children, *sibling, *elder;
    struct vine_coroutine *awaited;         /* the child that it has called or joins */
    uint64_t due_ns;                        /* when it is woken at the latest, or 0 */
    struct vine_coroutine *later, *earlier; /* of those that are due */
    int due_error;                          /* with which it is woken then */
    void *operand;                          /* of the operation under way, whose these words are */
    uint64_t operand_size;
    uint64_t operand_at;
    struct vine_socket *on;     /* the socket of the operation under way */
    struct vine__block *blocks; /* of vine_alloc */
    struct vine__owned *owned;  /* what goes with it */
    struct vine__at_end *at_end;
    struct vine__mailbox *mailbox; /* once somebody has sent to it, or it waits for that */
    struct vine__message *message; /* that it sends */
    void *scratch;                 /* of the operation under way */
};

extern const struct vine_coroutine_type __start_vine_coroutines[]
    __attribute__((weak, visibility("hidden")));
extern const struct vine_coroutine_type __stop_vine_coroutines[]
    __attribute__((weak, visibility("hidden")));
extern const struct vine__point __start_vine_points[] __attribute__((weak, visibility("hidden")));
extern const struct vine__point __stop_vine_points[] __attribute__((weak, visibility("hidden")));

extern const char __start_vine_service_text[] __attribute__((weak, visibility("hidden")));
extern const char __stop_vine_service_text[] __attribute__((weak, visibility("hidden")));

/* One of each program or library, however many files include this; gone when that is unloaded. */
VINE_API void vine__module_add(struct vine__module *module);
VINE_API void vine__module_drop(struct vine__module *module);
struct vine__module vine__module __attribute__((weak, visibility("hidden")));

__attribute__((weak, visibility("hidden"), constructor)) void vine__module_begin(void)
{
    vine__module.types = __start_vine_coroutines;
    vine__module.types_end = __stop_vine_coroutines;
    vine__module.points = __start_vine_points;
    vine__module.points_end = __stop_vine_points;
    vine__module.text = __start_vine_service_text;
    vine__module.text_end = __stop_vine_service_text;
    vine__module_add(&vine__module);
}

__attribute__((weak, visibility("hidden"), destructor)) void vine__module_end(void)
{
    vine__module_drop(&vine__module);
}

VINE_API void *vine__frame(struct vine_coroutine *that, size_t size_bytes);
VINE_API __attribute__((noreturn, cold)) void vine__lost(const struct vine_coroutine *that);
/* Where what was raised goes, or NULL: out. */
VINE_API const void *vine__unwind(struct vine_coroutine *that, const struct vine__point *points,
                                  const struct vine__point *points_end, const void *base);
VINE_API int vine__caught(struct vine_coroutine *that);
VINE_API void vine__finally(struct vine_coroutine *that);
VINE_API void vine__leave(struct vine_coroutine *that);
VINE_API void vine__raise(struct vine_coroutine *that, int error);

/* In the coroutine's own text, as each time that it goes on comes here. */
__attribute__((always_inline)) static inline const void *
vine__resume(const struct vine_coroutine *that, const struct vine__point *points,
             const struct vine__point *points_end, const void *base)
{
    const uint32_t place = that->state - 1;

    if (__builtin_expect(place >= (uint32_t)(points_end - points) || points[place].base != base, 0))
        vine__lost(that);
    return points[place].label;
}

#ifdef __clang__
#define VINE__COROUTINE_CHECKS                                                                     \
    _Pragma("clang diagnostic error \"-Wuninitialized\"")                                          \
        _Pragma("clang diagnostic error \"-Wconditional-uninitialized\"")
#define VINE__NO_CLONES __attribute__((noinline))
#else
#define VINE__COROUTINE_CHECKS                                                                     \
    _Pragma("GCC diagnostic error \"-Wuninitialized\"")                                            \
        _Pragma("GCC diagnostic error \"-Wmaybe-uninitialized\"")
#define VINE__NO_CLONES __attribute__((noinline, noclone))
#endif

#define VINE__POINT __attribute__((section("vine_points"), used, aligned(32)))

/* Of each operation: elsewhere the compiler says that this name is not declared. */
#define vine__in_a_body() (void)vine__only_between_vine_begin_and_vine_end

/* Leave, by what is raised or to the end. */
#define vine__go_out()                                                                             \
    do {                                                                                           \
        const void *const vine__out =                                                              \
            vine__unwind(that, __start_vine_points, __stop_vine_points, &&vine__base);             \
        if (vine__out == NULL) {                                                                   \
            vine__leave(that);                                                                     \
            return;                                                                                \
        }                                                                                          \
        goto *vine__out;                                                                           \
    } while (0)

/* An operation: `begin`, and then blocked until `ready` says yes, which has prepared what wakes the
 * coroutine when it says no. Where it stands is known before it begins, for what it may have to
 * say of its use, and for who looks at a fault. */
#define vine__operation(operation_name, begin, ready)                                              \
    do {                                                                                           \
        __label__ vine__here;                                                                      \
        vine__in_a_body();                                                                         \
        static const struct vine__point vine__point VINE__POINT = {                                \
            &&vine__here, &&vine__base, operation_name, __LINE__, VINE__POINT_BLOCK};              \
        that->state = (uint32_t)(&vine__point - __start_vine_points) + 1;                          \
        begin;                                                                                     \
        while (!(ready)) {                                                                         \
            return;                                                                                \
        vine__here:                                                                                \
            if (__builtin_expect(that->error != 0, 0))                                             \
                break;                                                                             \
        }                                                                                          \
        if (__builtin_expect(that->error != 0, 0))                                                 \
            vine__go_out();                                                                        \
    } while (0)

/* One that blocks once, whatever wakes it. The coroutine's status says when it goes on. */
#define vine__block_at(operation_name, begin)                                                      \
    do {                                                                                           \
        __label__ vine__here;                                                                      \
        vine__in_a_body();                                                                         \
        static const struct vine__point vine__point VINE__POINT = {                                \
            &&vine__here, &&vine__base, operation_name, __LINE__, VINE__POINT_BLOCK};              \
        that->state = (uint32_t)(&vine__point - __start_vine_points) + 1;                          \
        begin;                                                                                     \
        return;                                                                                    \
    vine__here:                                                                                    \
        if (__builtin_expect(that->error != 0, 0))                                                 \
            vine__go_out();                                                                        \
    } while (0)

/* And one that never blocks. */
#define vine__do_at(operation_name, begin) vine__operation(operation_name, begin, true)

#define vine__suspend(operation_name)      vine__block_at(operation_name, (void)0)
#define vine__until(operation_name, ready) vine__operation(operation_name, (void)0, ready)

/* ---- a coroutine ---------------------------------------------------------------------------- */

/* For functions that coroutines call, in a program that is linked with the runtime: a fault there
 * counts as the coroutine's own, as one in the coroutine itself does. Of a library that is loaded
 * as a service (vine serve PLUGIN.so) all code counts so. Such a function holds no lock, and calls
 * no malloc, at a place that may fault. */
#define VINE_SERVICE_CODE __attribute__((section("vine_service_text")))

/* Define a coroutine. It can be started by this and, after VINE_COROUTINE_DECLARE, other files. */
#define VINE_COROUTINE(name)                                                                       \
    VINE_COROUTINE_DECLARE(name);                                                                  \
    const struct vine_coroutine_type vine__type_##name                                             \
        __attribute__((section("vine_coroutines"), used, aligned(32))) = {name, #name, __FILE__,   \
                                                                          &vine__module};          \
    VINE__COROUTINE_CHECKS VINE__NO_CLONES VINE_SERVICE_CODE void name(struct vine_coroutine *that)

#define VINE_COROUTINE_DECLARE(name)                                                               \
    void name(struct vine_coroutine *that);                                                        \
    extern const struct vine_coroutine_type vine__type_##name

/* The body lies between these two. */
#define vine_begin()                                                                               \
    self = that->frame;                                                                            \
    if (__builtin_expect(self == NULL, 0)) {                                                       \
        self = vine__frame(that, sizeof *self);                                                    \
        if (self == NULL)                                                                          \
            return;                                                                                \
    }                                                                                              \
    if (that->state != 0)                                                                          \
        goto *vine__resume(that, __start_vine_points, __stop_vine_points, &&vine__base);           \
    vine__base:                                                                                    \
    if (__builtin_expect(that->error != 0, 0))                                                     \
        vine__go_out();                                                                            \
    {                                                                                              \
        enum { vine__only_between_vine_begin_and_vine_end };

#define vine_end()                                                                                 \
    }                                                                                              \
    vine__leave(that);                                                                             \
    return

/* What it was started with. */
#define vine_argument() (that->argument)

/* ---- one after the other --------------------------------------------------------------------- */

/* Let the others run that are ready. */
#define vine_yield() vine__block_at("vine_yield", that->status = VINE__COROUTINE_YIELDED)

/* Run another coroutine to its end. What it raises is raised here. Its deadlines do not go beyond
 * the one that is in force here. */
#define vine_call(name, argument_pointer)                                                          \
    vine__operation("vine_call", vine__call(that, &vine__type_##name, (argument_pointer)),         \
                    vine__called(that))

/* Have another one run beside this one, from the next time that this one blocks. `ret_handle`, a
 * struct vine_coroutine *, is for vine_join, vine_cancel and vine_play, until it is joined. A child
 * ends before its parent does: a parent that comes to its end waits for its children; if it was
 * left by an error, or one of them ends by one then, they are cancelled first. */
#define vine_child(name, argument_pointer, ret_handle)                                             \
    vine__do_at("vine_child", (ret_handle) = vine__child(that, &vine__type_##name,                 \
                                                         (argument_pointer), VINE__CHILD_JOINED))

/* The same without a handle: it is gone when it ends. What it raises is raised in the parent, where
 * that one blocks next. */
#define vine_start(name, argument_pointer)                                                         \
    vine__do_at("vine_start", (void)vine__child(that, &vine__type_##name, (argument_pointer),      \
                                                VINE__CHILD_DETACHED))

/* The same for one that is there to be asked (vine/future.h): when its parent comes to its end, it
 * is cancelled in any case. */
#define vine_responder(name, argument_pointer, ret_handle)                                         \
    vine__do_at("vine_responder",                                                                  \
                (ret_handle) = vine__child(that, &vine__type_##name, (argument_pointer),           \
                                           VINE__CHILD_RESPONDER))

/* Wait for the end of a child. What it raised is raised here, but for -ECANCELED of who was
 * cancelled by vine_cancel. The handle is gone then. */
#define vine_join(handle)                                                                          \
    vine__operation("vine_join", vine__join(that, (handle)), vine__joined(that))

/* Have a coroutine of the same micro-process leave by -ECANCELED where it blocks, by its
 * vine_catch and vine_finally. Does not wait for it. Who is in vine_finally goes on there. Who has
 * not begun has these run all the same. */
#define vine_cancel(handle) vine__do_at("vine_cancel", vine__cancel(that, (handle)))

/* Stop until another coroutine plays this one; at once, if it has done so since. */
#define vine_pause()      vine__until("vine_pause", vine__paused(that))
#define vine_play(handle) vine__do_at("vine_play", vine__play(that, (handle)))

/* ---- time ----------------------------------------------------------------------------------- */

/* What blocks from now on in this coroutine, and in what it calls or starts, ends so many
 * nanoseconds from now; VINE_FOREVER: never. */
#define vine_deadline(duration_ns) vine__deadline(that, (duration_ns))

/* Steady time in nanoseconds, as of when the micro-process was last given its turn. */
#define vine_now() vine__now(that)

#define vine_sleep(duration_ns) vine__block_at("vine_sleep", vine__sleep(that, (duration_ns)))

/* Whether the service stops: a connection that is not in the middle of something should end, and
 * has some seconds for that. Who waits for a first byte then is cancelled. */
#define vine_is_draining() vine__is_draining(that)

/* ---- errors --------------------------------------------------------------------------------- */

/* Leave with an error, a negative number. */
#define vine_raise(error_number)                                                                   \
    do {                                                                                           \
        __label__ vine__here;                                                                      \
        vine__in_a_body();                                                                         \
        static const struct vine__point vine__point VINE__POINT = {                                \
            &&vine__here, &&vine__base, "vine_raise", __LINE__, VINE__POINT_BLOCK};                \
        that->state = (uint32_t)(&vine__point - __start_vine_points) + 1;                          \
        vine__raise(that, (error_number));                                                         \
    vine__here:                                                                                    \
        vine__go_out();                                                                            \
    } while (0)

/* Leave without one. */
#define vine_return()                                                                              \
    do {                                                                                           \
        vine__in_a_body();                                                                         \
        vine__go_out();                                                                            \
    } while (0)

/* A block for what is raised, before it or, where nothing was until then, behind it; then it goes
 * on behind the block. One a coroutine, and once: what is raised from there on is not caught
 * again. */
#define vine_catch(error_lvalue)                                                                   \
    static const struct vine__point vine__catch_point VINE__POINT = {                              \
        &&vine__catch, &&vine__base, "vine_catch", __LINE__, VINE__POINT_CATCH};                   \
    if (0)                                                                                         \
    vine__catch:                                                                                   \
        if (((error_lvalue) = vine__caught(that)), 1)

/* A block at the end, which runs whether or not something was raised, also when the coroutine is
 * cancelled; what was raised goes on at vine_end. One a coroutine. */
#define vine_finally()                                                                             \
    static const struct vine__point vine__finally_point VINE__POINT = {                            \
        &&vine__finally, &&vine__base, "vine_finally", __LINE__, VINE__POINT_FINALLY};             \
    vine__finally:                                                                                 \
    vine__finally(that);

/* ---- what stands behind them; private -------------------------------------------------------- */

enum vine__child_kind { VINE__CHILD_JOINED, VINE__CHILD_DETACHED, VINE__CHILD_RESPONDER };

VINE_API void vine__call(struct vine_coroutine *that, const struct vine_coroutine_type *type,
                         void *argument);
VINE_API bool vine__called(struct vine_coroutine *that);
VINE_API struct vine_coroutine *vine__child(struct vine_coroutine *that,
                                            const struct vine_coroutine_type *type, void *argument,
                                            enum vine__child_kind kind);
VINE_API void vine__join(struct vine_coroutine *that, struct vine_coroutine *child);
VINE_API bool vine__joined(struct vine_coroutine *that);
VINE_API void vine__cancel(struct vine_coroutine *that, struct vine_coroutine *other);
VINE_API bool vine__paused(struct vine_coroutine *that);
VINE_API void vine__play(struct vine_coroutine *that, struct vine_coroutine *other);
VINE_API void vine__deadline(struct vine_coroutine *that, uint64_t duration_ns);
VINE_API uint64_t vine__now(const struct vine_coroutine *that);
VINE_API bool vine__is_draining(const struct vine_coroutine *that);
VINE_API void vine__sleep(struct vine_coroutine *that, uint64_t duration_ns);

VINE_END_DECLARATIONS

#endif

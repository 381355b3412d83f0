/*
 * The object pool where exceptions and run-time type information exist:
 * functors may throw, objects are cast to what the functor wants, and users
 * of an object are waited for.
 */
#include <sched.h>
#include <sys/wait.h>

#include "platform.h"

namespace { void relaxed(); }

extern "C" void cap_map_relax() { relaxed(); sched_yield(); }

namespace {

	using Platform          = Test_platform<Base_foc::Dynamic_object_cast>;
	using Native_capability = Base_foc::Native_capability<Platform>;
	using Capability_map    = Base_foc::Capability_map<Platform>;

	Capability_map cap_map;

	struct Object : Base_foc::Object_pool<Object, Platform>::Entry
	{
		Object(Native_capability cap)
		: Base_foc::Object_pool<Object, Platform>::Entry(cap) { }
	};

	struct Interface { virtual int number() = 0; virtual ~Interface() { } };

	struct File : Object, Interface
	{
		File(Native_capability cap) : Object(cap) { }
		int number() override { return 42; }
	};

	struct Pipe : Object { using Object::Object; };

	using Pool = Base_foc::Object_pool<Object, Platform>;

	struct Failure { int code; };

	Pool pool;

	/* progress of the two threads in 'waiting' */
	int  step;
	void reach(int n)    { __atomic_store_n(&step, n, __ATOMIC_SEQ_CST); }
	int  reached()       { return __atomic_load_n(&step, __ATOMIC_SEQ_CST); }
	void wait_for(int n) { while (reached() < n) sched_yield(); }
	void let_others_run() { for (unsigned i = 0; i < 2000; i++) sched_yield(); }

	/* thread that is held up in front of the lock of an object */
	pthread_t late_thread;
	bool      late;

	void hold_up_late_thread()
	{
		if (late && pthread_equal(pthread_self(), late_thread)) {
			reach(1);
			wait_for(2);
		}
	}

	/* somebody waits for the late thread */
	void relaxed() { if (late) reach(2); }
}


static void casts()
{
	Native_capability const file_cap(cap_map.insert(4)), pipe_cap(cap_map.insert(8));
	File file(file_cap);
	Pipe pipe(pipe_cap);
	pool.insert(&file);
	pool.insert(&pipe);

	CHECK(pool.apply(4, [&] (Object *o)    { return o == &file; }));
	CHECK(pool.apply(4, [&] (File *f)      { return f == &file; }));
	CHECK(pool.apply(4, [] (Interface *i)  { return i && i->number() == 42; }));
	CHECK(pool.apply(4, [] (Pipe *p)       { return p == nullptr; }));
	CHECK(pool.apply(8, [] (Interface *i)  { return i == nullptr; }));
	CHECK(pool.apply(8, [] (File *f)       { return f == nullptr; }));
	CHECK(pool.apply(12, [] (Interface *i) { return i == nullptr; }));
	pool.remove_all([] (Object *) { });
}


static void throwing()
{
	Native_capability const cap(cap_map.insert(4));
	Object *object = new Object(cap);
	pool.insert(object);

	for (unsigned long badge = 4; badge <= 8; badge += 4) {
		int caught = 0;
		try {
			pool.apply(badge, [] (Object *o) -> int { throw Failure { o ? 1 : 2 }; });
		} catch (Failure const &failure) {
			caught = failure.code;
		}
		CHECK_EQ(caught, badge == 4 ? 1 : 2);
	}

	/* neither lock nor pin is left behind */
	CHECK(pool.apply(4, [] (Object *o) { return o != nullptr; }));
	try {
		pool.remove_all([] (Object *o) { delete o; throw Failure { 3 }; });
		CHECK(false);
	} catch (Failure const &failure) {
		CHECK_EQ(failure.code, 3);
	}
	CHECK(pool.empty());
}


/**
 * Thread that stays inside of the object with badge 4 for a while
 */
static void *user(void *)
{
	pool.apply(4, [] (Object *o) {
		CHECK(o != nullptr);
		reach(1);
		wait_for(2);
		let_others_run();
		reach(3);
	});
	return nullptr;
}


/**
 * Thread that has found the object with badge 4, but comes late for using it
 */
static void *late_user(void *arg)
{
	bool &got_object = *(bool *)arg;

	late_thread = pthread_self();
	late        = true;
	pool.apply(4, [&] (Object *o) { got_object = (o != nullptr); });
	return nullptr;
}


template <typename FN>
static void with_user(FN const &fn)
{
	pthread_t thread;
	reach(0);
	CHECK_EQ(pthread_create(&thread, nullptr, user, nullptr), 0);
	wait_for(1);
	fn();
	CHECK_EQ(pthread_join(thread, nullptr), 0);
}


static void waiting()
{
	Native_capability const cap(cap_map.insert(4));

	/* removal does not wait, destruction does */
	Object *object = new Object(cap);
	pool.insert(object);
	with_user([&] {
		pool.remove(object);
		CHECK_EQ(reached(), 1);
		CHECK(pool.apply(4, [] (Object *o) { return o == nullptr; }));
		CHECK_EQ(reached(), 1);
		reach(2);
		delete object;
		CHECK_EQ(reached(), 3);
	});

	/* as does the destruction of a member */
	object = new Object(cap);
	pool.insert(object);
	with_user([&] {
		reach(2);
		delete object;
		CHECK_EQ(reached(), 3);
	});
	CHECK(pool.empty());

	/* and removing all */
	object = new Object(cap);
	pool.insert(object);
	with_user([&] {
		reach(2);
		unsigned calls = 0;
		pool.remove_all([&] (Object *o) {
			CHECK_EQ(reached(), 3);
			CHECK(o == object);
			calls++;
		});
		CHECK_EQ(calls, 1);
		CHECK(pool.empty());
	});
	pool.insert(object);
	CHECK(pool.apply(4, [&] (Object *o) { return o == object; }));

	/* who has found an object that is gone in the meantime does not get it */
	Platform::kernel().before_acquire = hold_up_late_thread;
	for (unsigned i = 0; i < 2; i++) {
		pthread_t thread;
		bool got_object = true;
		reach(0);
		CHECK_EQ(pthread_create(&thread, nullptr, late_user, &got_object), 0);
		wait_for(1);
		if (i == 0)
			pool.remove_all([&] (Object *o) { CHECK(o == object); });
		else
			delete object;
		CHECK_EQ(pthread_join(thread, nullptr), 0);
		CHECK_EQ(reached(), 2);
		CHECK(!got_object);
		late = false;
		if (i == 0)
			pool.insert(object);
	}
	Platform::kernel().before_acquire = nullptr;
}


/**
 * An object is destroyed inside of its own 'apply': the mistake is named
 */
static void destroying_the_object_in_use()
{
	pid_t const child = fork();
	if (child == 0) {
		alarm(60); /* ends a wait without a message */
		if (!freopen("/dev/null", "w", stderr))
			_exit(1);

		Object * const object = new Object(Native_capability(cap_map.insert(4)));
		pool.insert(object);
		pool.apply(4, [] (Object *o) { delete o; });
		_exit(0);
	}
	int status = 0;
	CHECK(child > 0 && waitpid(child, &status, 0) == child);
	CHECK(WIFEXITED(status));
	CHECK_EQ(WEXITSTATUS(status), int(Platform::DEADLOCK));
}


int main()
{
	casts();
	throwing();
	waiting();
	destroying_the_object_in_use();
	return done("exceptions");
}

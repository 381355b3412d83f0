/*
 * \brief  Signal sources and contexts of a component that can be checkpointed
 * \date   2026-11-29
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <cap_checkpoint/signals.h>

using namespace Cap_checkpoint;


void Signals::_destroy(Context &context)
{
	_pd.free_context(context.cap);
	destroy(_alloc, &context);
	_account.refund(sizeof(Context));
}


Signals::~Signals()
{
	while (_contexts.apply_any<Context>([&] (Context &c) { _destroy(c); }));

	if (_source) {
		_pd.free_signal_source(_source->real);
		destroy(_alloc, _source);
		_account.refund(sizeof(Virtual_source));
	}
}


Signals::Source_result Signals::source()
{
	using Result = Source_result;

	if (_source)
		return _source;

	return _account.charge(sizeof(Virtual_source)).convert<Result>([&] (Ok) -> Result {

		auto refund = [&] (Alloc_error e) -> Result {
			_account.refund(sizeof(Virtual_source));
			return e; };

		return _alloc.try_alloc(sizeof(Virtual_source)).convert<Result>([&] (Memory::Allocation &a) -> Result {

			return _pd.signal_source().convert<Result>(
				[&] (Capability<Signal_source> real) -> Result {

					a.deallocate = false;
					_source = construct_at<Virtual_source>(a.ptr, _ep, real);
					return _source; },

				[&] (Alloc_error e) -> Result { return refund(e); });

		}, [&] (Alloc_error e) -> Result { return refund(e); });

	}, [&] (Alloc_error e) -> Result { return e; });
}


Signals::Context_result Signals::create_context(addr_t imprint)
{
	using Result = Context_result;

	/* the source exists as soon as there is a context */
	Source_result const source = this->source();
	if (source.failed())
		return source.convert<Result>(
			[&] (Virtual_source *) -> Result { return Alloc_error::DENIED; },
			[&] (Alloc_error e)    -> Result { return e; });

	bool known = false;
	_imprints.apply<Context>({ imprint }, [&] (Context &) { known = true; }, [&] { });

	/* signals would not tell which context they belong to */
	if (known || !imprint)
		return Alloc_error::DENIED;

	return _account.charge(sizeof(Context)).convert<Result>([&] (Ok) -> Result {

		auto refund = [&] (Alloc_error e) -> Result {
			_account.refund(sizeof(Context));
			return e; };

		return _alloc.try_alloc(sizeof(Context)).convert<Result>([&] (Memory::Allocation &a) -> Result {

			return _pd.alloc_context(_source->real, { imprint }).convert<Result>(
				[&] (Capability<Signal_context> cap) -> Result {

					/* our capability space is exhausted */
					if (!cap.valid())
						return refund(Alloc_error::DENIED);

					a.deallocate = false;
					return construct_at<Context>(a.ptr, _contexts, _imprints, imprint,
					                             cap); },

				[&] (Alloc_error e) -> Result { return refund(e); });

		}, [&] (Alloc_error e) -> Result { return refund(e); });

	}, [&] (Alloc_error e) -> Result { return e; });
}


void Signals::free(Signal_context_capability cap)
{
	with_context(cap, [&] (Context &context) { _destroy(context); });
}


void Signals::free_stand_ins()
{
	for (;;) {
		Signal_context_capability cap { };

		for_each_context([&] (Context &context) {
			if (context.stand_in())
				cap = context.cap; });

		if (!cap.valid())
			return;

		free(cap);
	}
}


void Signals::drain()
{
	for_each_source([&] (Virtual_source &source) {

		Virtual_source::Client client(source.real);

		for (;;) {
			Signal_source::Signal signal = client.wait_for_signal();

			if (!signal.imprint())
				return;

			_imprints.apply<Context>({ (unsigned long)signal.imprint() },
				[&] (Context &c) { c.pending += signal.num(); }, [&] { });
		}
	});
}


void Signals::resubmit()
{
	for_each_context([&] (Context &context) {

		if (context.pending)
			_pd.submit(context.cap, context.pending);

		context.pending = 0; });
}

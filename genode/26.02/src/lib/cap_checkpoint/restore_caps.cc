/*
 * \brief  Capabilities of a restored component
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <cap_checkpoint/restore.h>
#include <cap_checkpoint/rm_session.h>

using namespace Cap_checkpoint;


Native_capability Restore::_cap_of(Image::Part const &part) const
{
	Open_session &session = *_sessions[part.session];

	Open_session::Service const &service = session.request.service;

	if (service == "CPU")
		return _cpu_of(part.session).native_cpu();

	if (service == "PD")
		switch (Image::Part::Pd(part.part)) {
		case Image::Part::ADDRESS_SPACE: return _pd_of(part.session).space.cap();
		case Image::Part::STACK_AREA:    return _pd_of(part.session).stack.cap();
		case Image::Part::LINKER_AREA:   return _pd_of(part.session).linker.cap();
		case Image::Part::NATIVE_PD:     return _pd_of(part.session).native_pd();
		case Image::Part::NUM_PD:        break;
		}

	Native_capability cap = session.part(part.part);

	session.with_rm([&] (Rm_service_session &rm) {
		rm.with_map(part.part, [&] (Virtual_region_map &map) { cap = map.cap(); }); });

	return cap;
}


Native_capability Restore::_cap_of(Image::Object const &object) const
{
	using Object = Image::Object;

	switch (Object::Kind(object.kind)) {
	case Object::PARENT:        return _child.parent.cap();
	case Object::SESSION:       return _sessions[object.number]->session_cap();
	case Object::DATASPACE:     return _dataspaces[object.number]->cap;
	case Object::THREAD:        return _threads[object.number];
	case Object::NATIVE_THREAD: return _natives[object.number];
	case Object::GATE:          return _gates[object.number];
	case Object::SOURCE:        return _sources[object.number]->source_cap();
	case Object::SEMAPHORE:     return _sources[object.number]->semaphore;
	case Object::CONTEXT:       return _contexts[object.number]->cap;

	case Object::PART:
		return _cap_of(_image.get<Image::Part>(object.number));

	case Object::THREAD_GATE:
	case Object::PSEUDO:
	case Object::DEAD: break;
	}
	return { };
}


/* no badge that core hands out has this bit */
static constexpr uint32_t DEAD_BADGE = 2;


/**
 * Let a slot refer to the object that it referred to
 *
 * \param badge  the slot is to have
 */
bool Restore::_install_cap(Image::Object const &object, uint32_t &badge)
{
	using Object = Image::Object;

	if (object.kind == Object::DEAD) {
		_restored.dead++;
		badge = object.badge | DEAD_BADGE;
		return true;
	}

	/* core has put it to where it belongs, for a thread of the member itself */
	if (object.kind == Object::THREAD_GATE) {
		badge = _badges[object.number];
		return badge && _image.get<Image::Thread>(object.number).member == object.member;
	}

	Native_capability const cap = _cap_of(object);

	if (!cap.valid())
		return false;

	badge = uint32_t(cap.local_name());

	/* core has put the parent capability to where it belongs */
	if (object.kind == Object::PARENT
	 || (object.kind == Object::GATE && object.number == _image.member(object.member).parent))
		return true;

	_restored.installed++;

	return _members[object.member]->cap_space.install(cap, object.slot, Foc_native_pd::NO_BADGE)
	       == Cap_space_monitor::Install_result::OK;
}


/**
 * Let each slot of a member refer to the object that it referred to, and know its badge
 *
 * \param batch  with room for all objects
 */
bool Restore::_install_caps_of(uint32_t const member, Array<Cap_space_monitor::Rewrite> &batch)
{
	using Object = Image::Object;

	unsigned count = 0;
	bool     all   = true;

	_image.for_each<Object>([&] (size_t, Object const &object) {

		if (!all || object.member != member || object.kind == Object::PSEUDO)
			return;

		uint32_t badge = 0;

		if (!_install_cap(object, badge)) {
			all = _refuse(Refused::Reason::CAPABILITY, _named(member), "slot ", Hex(object.slot),
			              " kind ", object.kind);
			return;
		}

		/* a ROM service may hand out one dataspace to all sessions */
		bool const rom = object.kind == Object::DATASPACE
		              && _image.get<Image::Dataspace>(object.number).kind
		                 == Image::Dataspace::ROM;

		_restored.unchanged += (badge == object.badge && !rom);
		batch[count++] = { .slot = object.slot, .expected = object.badge,
		                    .replacement = badge, .left_out = 0, .head = 0, .next = 0 }; });

	if (!all || !count)
		return all;

	unsigned slot = 0;
	Cap_map::Status const status = _members[member]->cap_space.rewrite(&batch[0], count, slot);

	_restored.rewritten += count;

	if (Cap_map::ok(status))
		return true;

	_image.with_object(slot, [&] (Object const &object) {
		(void)_refuse(Refused::Reason::CAPABILITY, _named(member), "badge at slot ", Hex(slot),
		              ", kind ", object.kind, ": ", Cap_map::message(status)); }, member);

	return _refuse(Refused::Reason::CAPABILITY, _named(member), "badges: ",
	               Cap_map::message(status));
}


bool Restore::_install_caps()
{
	Array<Cap_space_monitor::Rewrite> batch { _alloc };

	if (!batch.reserve(_image.num<Image::Object>()))
		return _refuse(Refused::Reason::OUT_OF_MEMORY, "badges");

	for (uint32_t member = 0; member < _image.num_members(); member++)
		if (!_install_caps_of(member, batch))
			return false;

	return true;
}

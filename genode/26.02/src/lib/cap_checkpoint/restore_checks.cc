/*
 * \brief  Whether an image is one of this system, and tells all that a restore needs
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <cap_checkpoint/restore.h>

using namespace Cap_checkpoint;


/**
 * Refuse the image of another kind of machine or another Genode
 */
bool Restore::_is_of_this_system()
{
	Image::System const system = _image.system();

	if (system.architecture != This_system::ARCHITECTURE)
		return _refuse(Refused::Reason::IMAGE, "architecture ", system.architecture);

	if (strcmp(system.release, This_system::RELEASE))
		return _refuse(Refused::Reason::IMAGE, "release ", Cstring(system.release));

	return true;
}


/**
 * Return true if the PD session of the component itself is the one of its environment
 *
 * The others are those of its children.
 */
bool Restore::_has_environment()
{
	Image::Session const root = _image.get<Image::Session>(_image.member(0).session);

	return root.id == Parent::Env::pd().value
	    || _refuse(Refused::Reason::CHILDREN, Cstring(root.service), ", ", Cstring(root.args));
}


/**
 * Return false if a session has memory that the image does not tell
 *
 * A component that goes on would find what a new session has.
 */
bool Restore::_memory_is_complete()
{
	bool all = true;

	_child.parent.for_each_session([&] (Open_session &session) {

		/* one whose module had no content at the time of the image may get memory by being opened */
		if (session.request.service == "ROM")
			return;

		session.for_each_memory([&] (uint32_t part, Dataspace &ds) {

			bool found = false;
			for (size_t i = 0; i < _dataspaces.count() && !found; i++)
				found = (_dataspaces[i] == &ds);

			if (all && !found)
				all = _refuse(Refused::Reason::MEMORY, "part ", part, " of session ",
				              session.request.id.value, " is missing"); }); });

	return all;
}


bool Restore::_servers_fit()
{
	bool all = true;

	_child.parent.for_each_session([&] (Open_session &session) {
		if (all && !session.restorable())
			all = _refuse(Refused::Reason::SESSION, session.request.service, ", ",
			              session.request.args, ": the server has something else"); });

	return all;
}

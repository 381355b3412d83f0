/*
 * \brief  Packets that the component has submitted, and that are not acknowledged yet
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _IN_FLIGHT_H_
#define _IN_FLIGHT_H_

/* Genode includes */
#include <cap_checkpoint/attached.h>
#include <cap_checkpoint/block_session.h>
#include <cap_checkpoint/child.h>
#include <cap_checkpoint/file_system_session.h>

namespace Test {

	using namespace Cap_checkpoint;

	struct In_flight;
}


/**
 * Lists of the sessions of a frozen component
 */
struct Test::In_flight
{
	Child &_child;

	template <typename RELAY>
	void _with_lists(Open_session::Service const &service, auto const &fn)
	{
		_child.parent.for_each_session([&] (Open_session &session) {

			if (session.request.service != service)
				return;

			session.before_save();

			if (Cap_checkpoint::Dataspace * const ds = session.memory(1))
				(void)with_attached(_child.monitor().local_rm, ds->cap, Access::WRITE,
					[&] (char *start, size_t) { fn(*(typename RELAY::List *)start); }); });
	}

	void _for_each_list(auto const &fn)
	{
		_with_lists<Block_service_session::Relay>("Block", fn);
		_with_lists<File_system_service_session::Relay>("File_system", fn);
	}

	template <typename LIST>
	static unsigned _count(LIST const &list)
	{
		unsigned count = 0;
		for (unsigned i = 0; i < list.count; i++)
			count += (list.entries[i].state == LIST::SUBMITTED);

		return count;
	}

	In_flight(Child &child) : _child(child) { }

	/**
	 * Return number of packets that the servers have
	 */
	unsigned count()
	{
		unsigned result = 0;
		_for_each_list([&] (auto &list) { result += _count(list); });
		return result;
	}

	/**
	 * Let a monitor forget to execute them
	 */
	bool lose()
	{
		bool lost = false;
		_for_each_list([&] (auto &list) {
			lost |= (_count(list) > 0);
			list.count = 0; });
		return lost;
	}

	/**
	 * Let a monitor take them for executed
	 */
	bool pretend()
	{
		bool lost = false;
		_for_each_list([&] (auto &list) {
			for (unsigned i = 0; i < list.count; i++) {
				list.entries[i].state = list.EXECUTED;
				list.entries[i].packet.succeeded(true);
				lost = true;
			} });
		return lost;
	}

	/**
	 * Let a monitor execute one of them twice
	 */
	bool repeat()
	{
		bool lost = false;
		_for_each_list([&] (auto &list) {
			if (list.count && list.count < list.MAX_ENTRIES) {
				list.entries[list.count] = list.entries[0];
				list.count++;
				lost = true;
			} });
		return lost;
	}
};

#endif /* _IN_FLIGHT_H_ */

/*
 * \brief  Capability map as a linked list over records
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#include "slots.h"

namespace Bench {

	struct List_record;
	class  List_index;
}


struct Bench::List_record
{
	List_record *next       { nullptr };
	uint8_t      references { 0 };
	uint32_t     badge      { UNUSED };
};


class Bench::List_index
{
	private:

		List_record *_first = nullptr;

	public:

		using Record = List_record;

		Record *find(uint32_t badge) const
		{
			Record *record = _first;
			while (record && record->badge != badge)
				record = record->next;
			return record;
		}

		void insert(Record &record)
		{
			record.next = _first;
			_first      = &record;
		}

		void remove(Record &record)
		{
			Record **link = &_first;
			while (*link && *link != &record)
				link = &(*link)->next;
			if (*link)
				*link = record.next;
		}
};


using List = Bench::Map<Bench::List_index>;

extern "C" { extern bench_map_ops const list_map_ops = Bench::Interface<List>::ops(); }

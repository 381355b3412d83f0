/*
 * \brief  Child that is saved and restored as configured
 * \date   2026-11-30
 *
 * Longer than 450 lines because it is one class, whose functions are in several files.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _MANAGED_CHILD_H_
#define _MANAGED_CHILD_H_

/* Genode includes */
#include <cap_checkpoint/printable.h>
#include <util/list.h>

/* local includes */
#include <begun.h>
#include <common.h>
#include <copies.h>
#include <making.h>
#include <ownership.h>
#include <rounds.h>
#include <routes.h>
#include <start_node.h>
#include <statistics.h>

namespace Checkpoint { class Managed_child; }


class Checkpoint::Managed_child : private List<Managed_child>::Element,
                                  private Cap_checkpoint::Virtual_parent::Exit_handler,
                                  private Cap_checkpoint::Session_policy,
                                  private Cap_checkpoint::Offer::Policy, Noncopyable
{
	public:

		friend class List<Managed_child>;

		using List<Managed_child>::Element::next;

		enum class State {
			NEW,        /* to be started */
			LOADING,    /* its images are being read */
			RUNNING,
			FROZEN,     /* saved, and will end or be offered once the image is written */
			OFFERED,    /* frozen, the other system may take it */
			UNDECIDED,  /* frozen, the other system may have taken it */
			AWAY,       /* the other system has it */
			STOPPED,    /* ended after a checkpoint */
			EXITED,     /* ended by itself */
			FAILED      /* could not be started */
		};

	private:

		using Session_label = Genode::Session_label;
		using Service       = Cap_checkpoint::Open_session::Service;
		using Operation     = Image_store::Operation;
		using Store_state   = Image_store::State;

		/* times that requests of a frozen child are served, which takes one or two */
		static constexpr unsigned MAX_SERVED = 10;

		/* time from the freeze until servers have executed the packets of the child, and between two looks */
		static constexpr uint64_t MAX_DRAIN_US = 1000*1000, DRAIN_TURN_US = 5000;

		/* a checkpoint that does not succeed is tried again */
		static constexpr unsigned MAX_ATTEMPTS    = 20;
		static constexpr uint64_t RETRY_US        = 50*1000,
		                          MAX_ATTEMPTS_US = 5*1000*1000,
		                          PAUSE_FACTOR    = 3;

		/* what a child takes from the component besides its quota */
		static constexpr size_t   CHILD_RAM = 512*1024, CHILD_CAPS = 40;

		/* an image may be larger than the one before, or than the pages of the first one */
		static constexpr size_t   IMAGE_GROWTH = 64*1024, STATE_BYTES = 512*1024;

		/* how much more often the records are read once a child is begun ahead of an offer */
		static constexpr unsigned BEGUN_FACTOR = 4;

		/* how much longer than writing an image the other side may take to begin with it */
		static constexpr unsigned ANSWER_FACTOR = 4;

		/* work on behalf of a running child until it has its turn */
		static constexpr uint64_t TURN_US = 2000;

		/* clients of a child without a start node are looked for so often */
		static constexpr uint64_t CLIENTS_US = 500*1000;

		Common          &_common;
		Start_node       _values;
		Start_node       _started { };  /* values that the child was started with */
		Routes           _routes { _common.alloc };
		Constructible<Buffered_node> _config_node { };
		Constructible<Buffer>        _config { };

		/* services for clients, who may outlive the child */
		Constructible<Buffered_node>         _provides { };
		Constructible<Cap_checkpoint::Offer> _services { };

		Constructible<Cap_checkpoint::Child> _child { };

		/* of the memory of the child, and an image that is being made of them */
		Constructible<Copies> _copies { };
		Constructible<Making> _making { };
		size_t                _expected_bytes = 0;  /* of the next image, 0 if unknown */

		/* image on the medium that was made of the copies at last, and may be continued */
		struct Tail
		{
			bool        valid;
			unsigned    slot;
			uint64_t    end;       /* offset in the slot */
			uint64_t    whole;     /* bytes of the complete image that the increments are behind */
			uint64_t    last;      /* bytes of the last increment, 0 for none */
			uint64_t    write_us;  /* longest time that one of the images took */
			Image::Base base;      /* that the next increment must have */

			/* offset in the slot of the next increment */
			uint64_t next() const { return align_addr(end, AT_PAGE); }
		};

		Tail _tail { };

		/* child that is begun ahead of an offer, and restored except for the start of its threads */
		Begun                                  _begun    { };
		Constructible<Cap_checkpoint::Restore> _prepared { };

		/* image with increments that it is begun from, and the announcement of the last one */
		Loaded_image _base { };
		Announcement _base_announced { };

		State _state    = State::NEW;
		bool  _present  = true;   /* there is a start node */
		bool  _conflict = false;  /* it was told that another child uses the place for images */

		Operation _job         = Operation::NONE;
		Place     _job_place   { };
		uint64_t  _job_start   = 0;
		bool      _job_is_late = false;
		uint64_t  _job_number  = 0;  /* of the image that is written */
		Tail      _job_tail    { };  /* what it follows, then what there is if this succeeds */

		/* images on the medium */
		Place    _known { };
		unsigned _next_slot = 0;
		uint64_t _newest    = 0;  /* number of the checkpoint, 0 for none */

		/* requests */
		bool    _exited = false;
		int     _exit_value = 0;
		bool    _wanted = false, _reload = false;
		Version _checkpoint_version { }, _restore_version { }, _move_version { };
		bool    _stop_refused = false, _start_again = false;

		/* place that is shared with another system */
		Constructible<Ownership> _ownership { };
		bool                     _move_wanted = false;
		bool                     _move_ahead  = false;  /* it may begin while the child runs */
		Rounds                   _rounds { };
		size_t                   _round_pages  = 0;     /* of the one that is being made */
		uint64_t                 _announced_us = 0;     /* when, 0 if the answer does not matter */
		bool                     _answered     = false;
		uint64_t                 _answer_us    = 0;     /* when this side has answered */
		Announcement             _announcement { };
		uint64_t                 _poll_us  = 0;  /* when the records are to be read, 0 for never */
		uint64_t                 _offer_us = 0;  /* when the child was offered here, or to here */
		Ownership::Obstacle      _obstacle      = Ownership::NO_OBSTACLE;
		uint64_t                 _obstacle_us   = 0;
		bool                     _obstacle_told = false;
		Message                  _told_message { }, _reason { };
		uint64_t                 _from_number = 0;

		/* when the image of an offer was read, and the child was restored but for its threads */
		uint64_t _read_us = 0, _prepared_us = 0;

		/* when the child began to wait for the file systems of the store, 0 if it did not */
		uint64_t _wait_us = 0;
		bool     _wait_told = false;

		uint64_t _due_us = 0, _retry_us = 0, _attempt_us = 0, _first_attempt_us = 0,
		         _freeze_us = 0, _turn_us = 0;
		unsigned _attempts = 0;

		/* the child will not go on once it is saved, as decided before it is frozen */
		bool _stays = false;

		/* the child is frozen, and its requests are being served, as often as that, or only its packets */
		bool     _serving = false, _draining = false;
		unsigned _served  = 0;

		Statistics _stat { };

		bool _changed = true;

		/*
		 * Noncopyable
		 */
		Managed_child(Managed_child const &);
		Managed_child &operator = (Managed_child const &);

		void _set(State state) { _state = state; _changed = true; }

		void _refuse(char const *operation, auto &&... what)
		{
			/* what children and images say of themselves must not forge reports */
			_stat.refusal           = Message(Cap_checkpoint::Printable(Message(what...)));
			_stat.refused_operation = operation;
			_stat.refused++;
			_changed = true;
			error(_values.name, ": ", operation, " refused, ", _stat.refusal);
		}

		/**
		 * Give up what was requested
		 */
		void _refuse_requests(auto &&... what)
		{
			if (_wanted) _refuse("checkpoint", what...);
			if (_reload) _refuse("restore",    what...);
			_wanted = _reload = false;
		}

		bool _stop_wanted()   const { return _values.stop || !_present; }
		bool _stays_frozen()  const { return _stop_wanted() || (_move_wanted && !_wants_round()); }
		bool _due(uint64_t) const;

		/* nothing of this is certain while the records are being read or written */
		bool _may_restore() const { return !_ownership.constructed() || _ownership->holds(); }
		bool _may_offer()   const { return  _ownership.constructed() && _ownership->can_offer(); }

		/* nothing is left but clients that have not closed their sessions yet */
		bool _over() const { return !_present && !busy() && !_child.constructed(); }

		/* the child is not one that is being brought here */
		bool _here() const
		{
			return _child.constructed() && !_begun.constructed() && !_prepared.constructed();
		}

		void _update_offer(Node const &start);
		void _lose_clients(State);
		bool _affordable(char const *operation, Image::System const &least);
		bool _place_is_free(char const *operation);
		bool _create(char const *operation);
		bool _provide_config();
		void _start();
		void _restore(Image::Chain const &);
		bool _create_for(Image::Reader const &);
		void _begin();
		void _end(State);

		void _destroy_child();

		bool _freeze();
		bool _copy_ahead();
		bool _provide_memory(size_t);
		uint64_t _chain_limit() const;
		bool _continues() const;
		bool _save(bool increment);
		void _write_image();
		Message _append_pages(size_t);
		void _work_on_image(uint64_t);
		void _give_up();
		void _try_again(Message const &);
		void _checkpoint();
		void _freeze_and_save();

		void _served_requests()
		{
			_serving = false;
			_job     = Operation::NONE;
		}

		bool _store_is_late(uint64_t);
		bool _place_is_taken(char const *operation);
		void _submit(Operation, Place const &);
		void _load();
		void _go_on();
		bool _note(Image_store::Result const &);
		void _loaded(Image_store::Result const &);
		void _restore_newest(Image_store::Result const &);
		void _written(Image_store::Result const &);

		void _look();
		void _poll_later();
		void _load_at_start();
		void _looked(Image_store::Result const &);
		void _follow(Ownership::Step, Image_store::Result const &);
		void _wait_for_other_side(Image_store::Result const &);
		void _tell_offer();
		void _tell_obstacle();
		void _checkpoint_later(Message const &);
		void _write_record();
		void _run_here(Message const &);
		bool _prepare_from(Image_store::Result const &);
		void _prepare(Image_store::Result const &);
		void _start_prepared();
		void _offer(Image_store::Result const &);
		void _load_offer();

		bool _wants_round() const;
		void _decide_on_round();
		uint64_t _answer_limit_us() const;
		bool _waits_for_answer(uint64_t) const;
		void _forget_rounds();
		void _announce_round();
		void _announce(Announcement const &);
		void _answer(Announcement::Kind);
		void _announced(Image_store::Result const &);
		void _note_answer(Image_store::Result const &);
		bool _read_ahead(Image_store::Result const &);
		void _read_all_ahead();
		bool _has_quota_for(Image::Reader const &) const;
		bool _begin_ahead(bool continued);
		void _round_read(Image_store::Result const &, bool continued);
		void _more_read(Image_store::Result const &);
		bool _prepare_increment();

		void _check_move(bool ended);
		void _work_on_start(uint64_t);
		void _work_on_delay(uint64_t);

		static Message _text(Cap_space_monitor::Freezer::Stuck const &);

		/* Virtual_parent::Exit_handler */
		void exited(int) override;

		/* Session_policy */
		bool permitted(Service const &, Session_label const &) override;
		Rom  rom(Session_label const &) override;

		Session_label label(Service const &, Session_label const &) override;

		Cap_checkpoint::Offer *offer() override
		{
			return _services.constructed() ? &*_services : nullptr;
		}

		bool offered(Service const &) override;

		/* Offer::Policy */
		bool reopens(Cap_checkpoint::Offer::Name const &) const override;

	public:

		Managed_child(Common &common, Start_node const &values)
		: _common(common), _values(values) { }

		~Managed_child() { _destroy_child(); }

		Name  const &name()  const { return _values.name; }
		Place const &place() const { return _child.constructed() ? _started.place : _values.place; }

		/**
		 * Return true if the side of this system has this name
		 */
		bool is_side(Name const &name) const
		{
			unsigned const side = _ownership.constructed() ? _ownership->side() : _values.side;

			return name == (side ? "b" : "a");
		}

		/* used while the configuration is being evaluated */
		bool mentioned = false;

		/**
		 * Respond to the disappearance of the start node
		 */
		void abandon()
		{
			_present = false;
			_reload  = false;
			_changed = true;
		}

		/**
		 * Return true if the child or a job of the store uses a place for images
		 */
		bool active() const
		{
			return _child.constructed() || busy() || _state == State::LOADING;
		}

		/**
		 * Return true if the images of the child are at, or overlap, a place
		 */
		bool uses(Place const &) const;

		/**
		 * Follow a change of the configuration
		 *
		 * \param routes  rules of the start node, or default ones
		 */
		void update(Start_node const &, Node const &start, Node const &routes);

		/**
		 * Follow a request, in which a version differs from the one before
		 */
		void request_checkpoint(Version const &);
		void request_restore(Version const &);
		void request_move(Version const &, bool here, bool ahead);

		/**
		 * Do what there is to do, to be called by the entrypoint at any time
		 */
		void work();

		/**
		 * Return true if the store works for this child
		 */
		bool busy() const { return _job != Operation::NONE; }

		/**
		 * Return true if the store does nothing but read the records
		 */
		bool looks() const { return _job == Operation::LOOK; }

		/**
		 * Free RAM of what can be done without
		 *
		 * \return  true if RAM became free
		 */
		bool give_way();

		/**
		 * Respond to the end of the store's work for this child
		 */
		void finish_job();

		/**
		 * Return true if nothing is left to do for a child without a start node
		 */
		bool obsolete();

		/**
		 * Return when 'work' must be called again at the latest, ~0 for never
		 */
		uint64_t deadline_us() const;

		/**
		 * Return true if the report is out of date
		 */
		bool changed() const { return _changed; }

		void generate(Generator &);
};

#endif /* _MANAGED_CHILD_H_ */

//! Sources, models and sinks composed into a plan, and the plan run.

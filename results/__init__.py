"""What happened: records, statistics, leaderboards, exports and plots, with pandas and never torch.

What others build on:

- `results.records.load_records`: runs from folders, roots and MLflow stores as one frame, one row per run;
- `results.leaderboard`: `task_labels`, and `leaderboard`, the ranked table of one task;
- `results.frontier.pareto`: the rows of a leaderboard that no other beats in both score and a cost;
- `results.across`: `aggregate`, methods across tasks, and `critical_difference`, their mean ranks;
- `results.trials`: `load_trials`, `best_of_k` and `default_against_tuned`, what searches found and cost;
- `results.errors.ResultsError`: base of everything that these raise for a user.

Each returns a frame whose ``attrs`` say what it is (``view``) and what a caption needs; docstrings list both. Frames
are equal for equal records, whatever the order of files. `results.statistics` holds the formulas behind them.
"""

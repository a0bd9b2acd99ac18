# The report of the old registry validator, of the records of a check and of the repair after it.
($check | map(select(.type == "registry.orphan").subject)) as $orphans
| ($repair | map(select(.type == "action" and (.data.verb == "repair" or .data.verb == "recover"))) | INDEX(.subject | tostring)) as $actions
| ($check | map(select(.type == "registry.probe"))
  | map(
      .subject as $path | $actions[$path | tostring].data as $action
      | ($action.detail.agents // [] | map(select(.reason))) as $zombies
      | ($action.detail.counts // [] | map(select(.name == "active_count" or .name == "active_agents"))[0]) as $count
      | ($count.new // .data.active) as $new | ($count.old // $new) as $old
      | {
          success: (if $action then $action.outcome == "done" or $action.outcome == "planned" else .data.shape != null end),
          dry_run: $dry,
          registry_path: $path,
          zombies_terminated: ($zombies | length),
          orphans_found: ($orphans | length),
          count_corrected: ($count != null),
          summary: ((if $dry then "[DRY RUN] " else "" end)
            + if .data.shape == null then "Not read: " + ($action.text // .data.faults[0].text) else "Terminated \($zombies | length) zombies, found \($orphans | length) orphans, "
            + (if $count then "corrected" else "verified" end) + " active_count (\($old) -> \($new))" end),
          changes: {
            zombies_terminated: ($zombies | map({agent_id, agent_type, tmux_session, old_status, last_update: .last_seen})),
            orphans_found: $orphans,
            count_corrected: ($count != null),
            old_active_count: $old,
            new_active_count: $new
          }
        }
    )) as $registries
| {
    registries: $registries,
    summary: {
      registries_processed: ($registries | length),
      total_zombies_terminated: ($registries | map(.zombies_terminated) | add // 0),
      total_orphans_found: ($orphans | length),
      registries_with_count_corrections: ($registries | map(select(.count_corrected)) | length)
    }
  }

"""The methods of all clients that are left untraced on purpose, of every supported mistralai, and why.

No mistralai has all of them.
"""

_KEEPS = {
    "agents are kept and looked up here; what defines or changes one is traced": {
        "beta.agents": "create_version_alias delete_version_alias get_version list list_pages list_version_aliases "
        "list_versions",
        "audio.agents": "create delete get list list_sessions list_versions update",
    },
    "prompts and skills are texts that are kept; whoever uses one has a span of that": {
        "beta.prompts": "create create_version delete get get_version list list_versions update_metadata "
        "update_version_metadata",
        "beta.skills": "create create_version delete get get_version list list_versions update_metadata "
        "update_version_metadata",
    },
    "files are kept, or their links made; what reads one has a span of that": {
        "files": "delete get_signed_url list retrieve",
    },
    "a library and its documents are kept, indexed and shared; what searches and reads them is traced": {
        "beta.libraries": "create delete get libraries_update_v1 list update",
        "beta.libraries.documents": "delete extracted_text_signed_url get get_signed_url "
        "libraries_documents_update_v1 reprocess status update upload",
        "beta.libraries.accesses": "delete list update_or_create",
    },
    "indexes are kept and filled; what searches and reads them is traced": {
        "beta.context.search_indexes": "create delete delete_documents generate_index_summary get get_index_summary "
        "ingest_documents list set_index_summary update",
        "beta.rag.managed_indexes": "create delete delete_documents get ingest_documents list update",
        "beta.rag.search_indexes": "get_deployment_summaries register_deployment unregister_deployment "
        "update_index_metrics get_index_detail get_index_schema_detail get_index_schema_file get_index_summaries "
        "register set_index_summary set_schema_summary unregister",
        "beta.rag.ingestion_pipeline_configurations": "list register update_run_info",
    },
    "these look into what a registered index keeps, in some versions of 2.x": {
        "beta.rag.search_indexes": "document_lookup documents_fetch",
    },
    "connectors are set up and shared here, with credentials that no trace should be near; their tools are traced": {
        "beta.connectors": "activate_for_consumer activate_for_organization activate_for_user "
        "activate_for_workspace create create_credentials create_or_update_organization_credentials "
        "create_or_update_user_credentials create_or_update_workspace_credentials deactivate_for_consumer "
        "deactivate_for_organization deactivate_for_user deactivate_for_workspace delete "
        "delete_all_user_credentials delete_credentials delete_organization_credentials delete_user_credentials "
        "delete_workspace_credentials get get_auth_url get_authentication_methods list list_organization_credentials "
        "list_tools list_user_credentials list_workspace_credentials share share_to_organization unshare "
        "unshare_from_organization update update_credentials",
    },
    "models and voices are listed and kept; what uses one names it": {
        "models": "archive delete list retrieve unarchive update",
        "audio.voices": "create delete get get_sample_audio list search update",
        "fine_tuning.jobs": "cancel create get list start",
    },
    "it ends what is kept of a job; what creates and reads them is traced": {"batch.jobs": "delete"},
    "workflows are published, scheduled and watched here; what executes one is traced": {
        "workflows": "add_workflow_tags archive_workflow bulk_archive_workflows bulk_unarchive_workflows get_workflow "
        "get_workflow_registration get_workflow_registrations get_workflows unarchive_workflow update_workflow",
        "workflows.executions": "batch_cancel_workflow_executions batch_terminate_workflow_executions "
        "cancel_workflow_execution get_workflow_execution get_workflow_execution_history get_workflow_execution_logs "
        "get_workflow_execution_trace_events get_workflow_execution_trace_info get_workflow_execution_trace_otel "
        "get_workflow_execution_trace_summary query_workflow_execution reset_workflow signal_workflow_execution "
        "stream stream_workflow_execution_logs terminate_workflow_execution update_workflow_execution",
        "workflows.metrics": "get_workflow_metrics",
        "workflows.runs": "get_run get_run_history list_runs",
        "workflows.schedules": "get_schedule get_schedules pause_schedule resume_schedule schedule_workflow "
        "trigger_schedule unschedule_workflow update_schedule",
        "workflows.events": "get_stream_events get_workflow_events",
        "workflows.deployments": "create_deployment delete_deployment get_deployment get_deployment_archive "
        "get_deployment_logs list_deployment_workers list_deployments restart_deployment start_deployment "
        "stop_deployment stream_deployment_logs unharden_deployment update_deployment",
        "events": "get_stream_events get_workflow_events",
    },
    "this is Mistral's own observability: a trace of it would be a trace of traces": {
        "beta.observability.judges": "create delete fetch judge_conversation list update",
        "beta.observability.campaigns": "create delete fetch fetch_status list list_events",
        "beta.observability.chat_completion_events": "fetch fetch_similar_events judge search search_ids",
        "beta.observability.chat_completion_events.fields": "fetch_option_counts fetch_options list",
        "beta.observability.datasets": "create create_record delete export_to_jsonl fetch fetch_task "
        "import_from_campaign import_from_dataset_records import_from_explorer import_from_file "
        "import_from_playground import_from_spans list list_records "
        "list_tasks update",
        "beta.observability.datasets.records": "bulk_delete delete fetch judge update_payload update_properties",
        "beta.observability.evaluations": "create_pipeline create_pipeline_config delete_pipeline "
        "delete_pipeline_config get get_pipeline get_pipeline_config list list_pipeline_configs list_pipelines "
        "update_pipeline update_pipeline_config",
        "beta.observability.evaluations.projects": "get list",
        "beta.observability.evaluations.runs": "compute_statistics get get_statistics search search_all",
        "beta.observability.evaluations.records": "get search",
        "beta.observability.evaluations.optimizations": "get list list_trials",
        "beta.observability.logs": "fetch_options list search",
        "beta.observability.traces": "aggregate fetch_options get_span_by_id get_trace_by_id get_trace_fields "
        "get_trace_spans search",
        "beta.observability.spans": "aggregate aggregate_span_evaluations fetch_span_eval_field_options "
        "fetch_span_field_options list_span_eval_fields list_span_fields search_latest_span_evaluations "
        "search_pipeline_results search_span_evaluations search_spans",
    },
    "people, accounts and what they are told of": {
        "beta.service_accounts": "create delete get list list_assignable_roles list_roles set_roles update",
        "beta.triggers": "create delete get list list_events",
        "beta.users": "get_identity list_organizations list_workspaces whoami",
        "beta.webhooks": "create delete get get_signing_secret list",
    },
}

_OTHERS = {
    "its call of `stream` is traced": {"chat": "parse_stream"},
    "its call of `connect` is traced": {
        "audio.realtime": "transcribe_stream",
        "audio.realtime_speech": "speak_stream",
    },
    "it counts tokens, and no model reads them": {"responses": "count_input_tokens"},
    "it makes an HTTP client for any request to any API": {"beta.connectors": "http_client"},
    "it makes a session or its key; what is said in one is told by the client that opens it": {
        "audio.sessions": "close create get init",
        "realtime.sessions": "create",
    },
}

LEFT_OUT: dict[str, str] = {
    f"{path}.{name}": reason
    for reasons in (_KEEPS, _OTHERS)
    for reason, paths in reasons.items()
    for path, names in paths.items()
    for name in names.split()
}
"""Why each method is left out, by its path on the client; its async twin is left out with it."""
